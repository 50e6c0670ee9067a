"""The same two charts of the same recording as a page of pandas and Plotly Dash, to be looked at beside `barograph view` by tests/browser/frames.mjs.

python3 bench/dash_page.py DAY.baro [PORT]        (pip install pandas pyarrow plotly dash)

CPU and memory by process, the eight highest and the rest, at 1000 buckets, as an able person would write it in an afternoon: the rows are read once, and each
zoom or pan has the window thinned again. Prints when it is ready.
"""

import sys
import time
from pathlib import Path

import plotly.graph_objects
from dash import Dash, Input, Output, dcc, html, no_update

from looking import load, thinned

CHARTS = {"cores": "CPU by process, cores", "resident_bytes": "Memory by process, bytes"}


def figure(rows, column, begin, end):
    lines = thinned(rows, column, begin, end)
    made = plotly.graph_objects.Figure()
    for name in lines.columns:
        made.add_trace(plotly.graph_objects.Scatter(x=lines.index, y=lines[name], stackgroup="all", name=str(name), line_width=0.5))
    made.update_layout(title=CHARTS[column], height=240, margin=dict(l=56, r=16, t=32, b=24), dragmode="pan", uirevision="same", xaxis_range=[begin, end])
    return made


def main():
    begun = time.perf_counter()
    rows = load(Path(sys.argv[1]))
    whole = rows["time"].min(), rows["time"].max()
    print(f"read in {time.perf_counter() - begun:.1f} s", flush=True)
    app = Dash(__name__)
    app.layout = html.Div([dcc.Graph(id=column, figure=figure(rows, column, *whole), config=dict(scrollZoom=True)) for column in CHARTS])

    @app.callback([Output(column, "figure") for column in CHARTS], [Input(column, "relayoutData") for column in CHARTS])
    def zoomed(*said):
        import dash
        import pandas

        change = next((each for column, each in zip(CHARTS, said) if dash.ctx.triggered_id == column), None)
        if not change or "xaxis.range[0]" not in change:
            return [no_update] * len(CHARTS)
        begin, end = (pandas.Timestamp(change[f"xaxis.range[{edge}]"]).tz_localize(rows["time"].dt.tz) for edge in (0, 1))
        return [figure(rows, column, begin, end) for column in CHARTS]

    app.run(port=int(sys.argv[2]) if len(sys.argv) > 2 else 8050, debug=False)


if __name__ == "__main__":
    main()
