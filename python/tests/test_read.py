"""Recordings, read: every library sees the same rows, and none copies them."""

import datetime
import json
import subprocess
import sys
import time

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

import barograph
from barograph._program import program
from conftest import burn, only


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A recording with some of everything."""
    path = tmp_path_factory.mktemp("read") / "run"
    with barograph.record(path, interval=0.05) as recorder:
        for epoch in range(3):
            with barograph.span("epoch", number=epoch):
                burn(0.1)
                time.sleep(0.1)
            barograph.mark("done", epoch=epoch)
            barograph.gauge("loss", 1 / (epoch + 1))
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    return recorder.recording


def on_disk(run, name):
    return pyarrow.concat_tables([pyarrow.parquet.read_table(part) for part in sorted((run.path / name).glob("*.parquet"))]).sort_by("monotonic_nanos")


def test_every_table_is_what_is_on_disk(run):
    assert {"job", "process", "processes", "memory", "events", "gauges", "span_edges"} <= set(run.tables) == set(run)
    for name in run:
        table, stored = run[name], on_disk(run, name)
        assert len(table) == stored.num_rows > 0
        assert table.columns == stored.column_names == ["time", "monotonic_nanos", *(field.name for field in run.describe(name))]
        found = pyarrow.table(table)
        assert found.schema.equals(stored.schema.remove_metadata(), check_metadata=False), name
        order = [(column, "ascending") for column in found.column_names if not pyarrow.types.is_floating(found.schema.field(column).type)]
        assert found.sort_by(order).equals(stored.sort_by(order)) or name in ("process", "cpu"), name
        assert found.column("monotonic_nanos").equals(stored.column("monotonic_nanos")), name


def addresses(array):
    return [buffer.address for chunk in array.chunks for buffer in chunk.buffers() if buffer is not None]


def test_nobody_copies(run):
    """Whoever takes the table twice has the same bytes twice: those that we hold."""
    table = run["process"]
    ours = pyarrow.table(table)
    again = pyarrow.table(table)
    for name in table.columns:
        assert addresses(ours[name]) == addresses(again[name]) != [], name
    theirs = polars.DataFrame(table).to_arrow()
    for name in ("monotonic_nanos", "pid", "resident_bytes", "user_seconds"):
        # The last buffer is that of the numbers; what is absent need not be told where nothing is.
        assert addresses(theirs[name])[-1] == addresses(ours[name])[-1], name


def test_a_table_outlives_all_else(run):
    def taken():
        return pyarrow.table(barograph.open(run.path)["job"])

    table = taken()
    for _ in range(3):
        barograph.open(run.path)["process"]
    assert table.column("processes").to_pylist() == run["job"]["processes"]


def test_all_libraries_see_the_same(run):
    job = table = run["job"]
    assert job is table, "DuckDB looks for a variable of this name"
    values = table["resident_bytes"]
    assert pyarrow.table(table)["resident_bytes"].to_pylist() == values
    assert table.to_pyarrow().num_rows == table.to_polars().height == len(table.to_pandas()) == len(table)
    assert polars.DataFrame(table)["resident_bytes"].to_list() == values
    assert table.to_pandas()["resident_bytes"].tolist() == values
    assert duckdb.sql("SELECT resident_bytes FROM job ORDER BY monotonic_nanos").fetchall() == [(value,) for value in values]
    (last,) = duckdb.sql("SELECT epoch_ns(max(time)) FROM job").fetchall()[0]
    assert last // 1000 == round(table["time"][-1].timestamp() * 1e6)
    assert polars.DataFrame(run.spans())["name"].to_list() == ["epoch"] * 3
    assert pyarrow.RecordBatchReader.from_stream(run.events()).read_all()["name"].to_pylist()[1:-1] == ["done"] * 3


def test_units_and_help_come_along(run):
    field = pyarrow.table(run["job"]).schema.field("resident_bytes")
    assert field.metadata[b"unit"] == b"bytes"
    said = {field.name: field for field in run["job"].fields}
    assert (said["resident_bytes"].unit, said["resident_bytes"].kind, said["resident_bytes"].id) == ("bytes", "gauge", "job.resident_bytes")
    assert said["user_seconds"].kind == "counter" and said["user_seconds"].help.endswith(".")
    assert run.describe("job")[0] == run["job"].fields[2]
    assert run.keys("process") == ["pid", "start_ticks"] and run.keys("job") == []


def test_without_any_library(run):
    table = run["gauges"]
    assert len(table) == 3 and table["name"] == ["loss"] * 3
    assert table["value"] == [1.0, 0.5, 1 / 3]
    assert table[-1]["value"] == 1 / 3 and table[0]["time"].tzinfo is datetime.timezone.utc
    assert [row["value"] for row in table] == table["value"]
    assert table[1:]["value"] == table["value"][1:] and len(table[5:]) == 0 and table[:-1]["value"] == [1.0, 0.5]
    with pytest.raises(IndexError, match="3 rows"):
        table[3]
    with pytest.raises(KeyError, match="no column 'valu'; it has .*value"):
        table["valu"]
    with pytest.raises(ValueError, match="step"):
        table[::2]
    text = repr(run["job"])
    assert "barograph.Table 'job'" in text and "resident_bytes" in text and len(text.splitlines()) == 13
    assert "<th>resident_bytes</th>" in run["job"]._repr_html_()
    assert "&lt;" in run.table("processes")._repr_html_() or "<" not in "".join(run["processes"]["name"])


def test_columns_and_rows_are_chosen(run):
    table = run.table("process", columns=["resident_bytes", "pid"], where={"pid": run.facts["root"]["pid"]})
    assert table.columns == ["time", "monotonic_nanos", "resident_bytes", "pid"]
    assert set(table["pid"]) == {run.facts["root"]["pid"]}
    assert len(run.table("gauges", where={"name": "loss"})) == 3 and len(run.table("gauges", where={"name": "none"})) == 0
    with pytest.raises(KeyError, match="no table.*job"):
        run["jobs"]
    with pytest.raises(KeyError, match="no column.*resident_bytes"):
        run.table("job", columns=["resident"])
    with pytest.raises(KeyError, match="no column"):
        run.table("job", where={"resident": 3})


def test_time_is_cut(run):
    times = run["job"]["time"]
    half = times[len(times) // 2]
    assert run.between(half, None)["job"]["time"] == times[len(times) // 2 :]
    assert len(run.between(None, half - datetime.timedelta(microseconds=1))["job"]) == len(times) // 2
    since = (half - run.start).total_seconds()
    for begin in (since, datetime.timedelta(seconds=since), half.astimezone().replace(tzinfo=None)):
        # Times of Python have microseconds.
        cut = run.between(begin).between(None, run.end + datetime.timedelta(microseconds=1))
        assert abs(len(cut["job"]) - (len(times) - len(times) // 2)) <= 1
    assert len(run.between(0, 0)["gauges"]) == 0
    assert run.end > run.start and run.seconds == pytest.approx((run.end - run.start).total_seconds(), abs=0.01)


def test_a_span_is_cut_out(run):
    spans = run.spans()
    for number, span in enumerate(spans):
        for part in (run.during(span), run.during("epoch", number), run.during(span["span"])):
            times = part["job"]["time"]
            assert times and all(span["time"] <= at <= span["end_time"] + datetime.timedelta(microseconds=1) for at in times)
    last = run.during("epoch", -1)
    assert last["job"]["time"][0] > run.during("epoch")["job"]["time"][-1]
    with pytest.raises(KeyError, match="3 spans 'epoch'"):
        run.during("epoch", 3)


def test_spans_and_events_have_their_costs(run):
    for number, span in enumerate(run.spans("epoch")):
        assert json.loads(span["attributes"]) == {"number": number}
        assert span["cpu_how"] == "exact" and span["thread_cpu_seconds"] >= 0.1 and span["wall_seconds"] >= 0.2
        assert span["peak_resident_bytes"] > 1 << 20
    assert len(run.spans("none")) == 0 and "wall_seconds" in run.spans("none").columns
    assert [event["name"] for event in run.events()] == ["attached", "done", "done", "done", "ended"]


def test_the_summary_is_the_report(run):
    said = subprocess.run([program(), "report", "--json", run.path], capture_output=True, check=True).stdout
    assert run.summary() == json.loads(said)
    assert run.summary()["recording"]["id"] == run.id
    part = run.during("epoch", 1).summary()
    assert not part["window"]["whole"] and 0 < part["window"]["seconds"] < run.seconds
    assert part["job"]["cpu"]["total"] < run.summary()["job"]["cpu"]["total"]


def test_errors_are_of_the_kinds_that_one_expects(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such recording"):
        barograph.open(tmp_path / "none.baro")
    with pytest.raises(barograph.Error, match="no recording.json"):
        barograph.open(tmp_path)


def test_damage_is_told_and_the_rest_is_read(tmp_path):
    with barograph.record(tmp_path / "run", interval=0.05) as recorder:
        time.sleep(0.2)
    run = recorder.recording
    part = next(iter((run.path / "memory").glob("*.parquet")))
    part.write_bytes(part.read_bytes()[:-20])
    assert len(run["memory"]) == 0 and len(run["job"]) > 0
    (path, why) = only(run.damaged())
    assert path == part and why
