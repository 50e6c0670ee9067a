"""The same charts of the same recording with pandas, matplotlib and Plotly, for the numbers beside `cargo bench -p barograph-view --bench look`.

python3 bench/looking.py DAY.baro        (pip install pandas pyarrow plotly matplotlib)

CPU and memory by process, the eight highest and the rest, at 1000 buckets: over the whole recording, and over an hour of it. What a page of Plotly Dash
would do for each is done: the frame is cut, thinned, and the figure made JSON. Prints seconds and the memory of the process.
"""

import io
import resource
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot
import pandas
import plotly.graph_objects

BUCKETS, TOP = 1000, 8


def timed(name, make, rounds=1):
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        made = make()
        took.append(time.perf_counter() - begun)
    took.sort()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{name:45} {took[len(took) // 2] * 1e3:10.1f} ms   peak memory {memory:6.0f} MB", flush=True)
    return made


def load(folder):
    columns = ["time", "monotonic_nanos", "pid", "start_ticks", "user_seconds", "system_seconds", "resident_bytes"]
    rows = pandas.read_parquet(folder / "process", columns=columns)
    rows = rows.sort_values(["pid", "start_ticks", "monotonic_nanos"], kind="stable", ignore_index=True)
    rows["cpu_seconds"] = rows["user_seconds"] + rows["system_seconds"]
    before = rows.groupby(["pid", "start_ticks"])[["cpu_seconds", "monotonic_nanos"]].diff()
    rows["cores"] = before["cpu_seconds"] / (before["monotonic_nanos"] / 1e9)
    return rows


def thinned(rows, column, begin, end):
    """A line for each of the highest and one for the rest: the mean of each bucket."""
    inside = rows[(rows["time"] >= begin) & (rows["time"] < end)]
    width = (end - begin) / BUCKETS
    bucket = ((inside["time"] - begin) // width).astype("int64")
    means = inside.groupby([inside["pid"], inside["start_ticks"], bucket])[column].mean().unstack(level=[0, 1])
    order = means.sum().sort_values(ascending=False).index
    top = means[order[:TOP]].copy()
    top.columns = [f"{pid}" for pid, _ in top.columns]
    top["others"] = means[order[TOP:]].sum(axis=1)
    top.index = begin + top.index * width
    return top


def plotted(rows, begin, end):
    figures = []
    for column in ("cores", "resident_bytes"):
        lines = thinned(rows, column, begin, end)
        figure = plotly.graph_objects.Figure()
        for name in lines.columns:
            figure.add_trace(plotly.graph_objects.Scatter(x=lines.index, y=lines[name], stackgroup="all", name=str(name)))
        figures.append(figure.to_json())
    return sum(map(len, figures))


def drawn(rows, begin, end):
    figure, axes = matplotlib.pyplot.subplots(2)
    for axis, column in zip(axes, ("cores", "resident_bytes")):
        lines = thinned(rows, column, begin, end)
        axis.stackplot(lines.index, lines.fillna(0).to_numpy().T)
    into = io.BytesIO()
    figure.savefig(into, format="svg")
    matplotlib.pyplot.close(figure)
    return into.tell()


def main():
    rows = timed("read, sort, rates", lambda: load(Path(sys.argv[1])))
    begin, end = rows["time"].min(), rows["time"].max()
    hour = begin + (end - begin) / 2, begin + (end - begin) / 2 + min(pandas.Timedelta(hours=1), (end - begin) / 2)
    size = timed("all, to Plotly's JSON", lambda: plotted(rows, begin, end))
    print(f"{'':45} {size / 1e3:10.0f} KB")
    timed("an hour, to Plotly's JSON", lambda: plotted(rows, *hour), 5)
    timed("all, to SVG by matplotlib", lambda: drawn(rows, begin, end))
    timed("an hour, to SVG by matplotlib", lambda: drawn(rows, *hour), 5)


if __name__ == "__main__":
    main()
