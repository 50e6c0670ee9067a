"""What a Plotly dashboard does at each refresh: read the columns, make the figure, write its JSON. Arguments: a Parquet file, rounds. Prints JSON."""

import json
import statistics
import sys
import time

import pandas
import plotly.graph_objects as go

path, rounds = sys.argv[1], int(sys.argv[2])
spent, size = [], 0
for _ in range(rounds):
    begin = time.perf_counter()
    frame = pandas.read_parquet(path)
    figure = go.Figure([go.Scatter(x=frame["time"], y=frame[name], name=name) for name in frame.columns if name != "time"])
    size = len(figure.to_json())
    spent.append((time.perf_counter() - begin) * 1e3)
print(json.dumps({"ms": statistics.median(spent), "first_ms": spent[0], "bytes": size}))
