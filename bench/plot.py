#!/usr/bin/env python3
"""How long a figure takes: `barograph plot` beside pandas + matplotlib, which draw the same two panels of the same recording.

    python3 -m venv /tmp/plot-bench && /tmp/plot-bench/bin/pip install pandas pyarrow matplotlib
    /tmp/plot-bench/bin/python bench/plot.py RUN.baro [--barograph target/release/barograph] [--times 5]

Prints the median wall time of the whole process for each, and ratios. Nothing is asserted.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = 8


def draw_with_pandas(run: Path, target: Path) -> None:
    """CPU and memory by process, stacked, with a legend: what one would write in a notebook."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd
    import pyarrow.dataset as ds

    columns = ["time", "monotonic_nanos", "pid", "start_ticks", "user_seconds", "system_seconds", "resident_bytes"]
    parts = sorted(str(part) for part in (run / "process").glob("*.parquet"))
    frame = ds.dataset(parts).to_table(columns=columns).to_pandas()
    frame = frame.sort_values("monotonic_nanos")
    subject = ["pid", "start_ticks"]
    frame["cpu"] = frame["user_seconds"] + frame["system_seconds"]
    grouped = frame.groupby(subject, sort=False)
    frame["cores"] = grouped["cpu"].diff() / (grouped["monotonic_nanos"].diff() / 1e9)
    figure, axes = plt.subplots(2, 1, figsize=(12, 5), sharex=True)
    for axis, column, scale in [(axes[0], "cores", 1.0), (axes[1], "resident_bytes", 2.0**30)]:
        wide = frame.pivot_table(index="time", columns=subject, values=column)
        width = (wide.index[-1] - wide.index[0]) / 900
        if width.total_seconds() > 1:
            wide = wide.resample(width).mean()
        wide = wide.fillna(0.0) / scale
        order = wide.mean().sort_values(ascending=False).index
        shown = wide[order[:TOP]].copy()
        shown["others"] = wide[order[TOP:]].sum(axis=1)
        axis.stackplot(shown.index, shown.T.to_numpy(), labels=[str(name) for name in shown.columns])
        axis.set_ylabel(column)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    figure.savefig(target, bbox_inches="tight")


def median(command: list[str], times: int) -> float:
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--barograph", default="target/release/barograph")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--pandas-to", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pandas_to:
        draw_with_pandas(arguments.run, arguments.pandas_to)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'format':8}{'barograph':>12}{'pandas + matplotlib':>22}{'ratio':>8}")
        for suffix in ["svg", "png", "pdf"]:
            target = str(Path(folder) / f"figure.{suffix}")
            panels = "cpu-by-process,memory-by-process"
            ours = median([arguments.barograph, "plot", str(arguments.run), "-o", target, "--force", "--panel", panels], arguments.times)
            theirs = median([sys.executable, __file__, str(arguments.run), "--pandas-to", target], arguments.times)
            print(f"{suffix:8}{ours:10.3f} s{theirs:20.3f} s{theirs / ours:7.0f}×", flush=True)


if __name__ == "__main__":
    main()
