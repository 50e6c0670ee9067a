"""pyarrow, pandas, polars and DuckDB read a recording with no help from us, while it is written and after."""

import csv
import datetime
import re

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

from conftest import barograph, tables

KEY = ["time", "pid", "start_ticks"]


def by_pandas(folder):
    return pandas.read_parquet(folder)


def by_pyarrow(folder):
    return pyarrow.dataset.dataset(folder, format="parquet").to_table().to_pandas()


def by_polars(folder):
    frame = polars.scan_parquet(f"{folder}/*.parquet").collect()
    return pandas.DataFrame({column: frame[column].to_numpy() for column in frame.columns})


def by_duckdb(folder):
    return duckdb.sql(f"SELECT * FROM '{folder}/*.parquet'").df()


READERS = [by_pandas, by_pyarrow, by_polars, by_duckdb]


@pytest.mark.parametrize("reader", READERS)
def test_all_readers_see_the_same(run, reader):
    names = tables(run)
    assert {"job", "process", "processes", "memory", "cpu", "own", "events"} <= set(names)
    for name in names:
        found, expected = reader(run / name), by_pyarrow(run / name)
        assert list(found.columns) == list(expected.columns), name
        assert len(found) == len(expected) > 0, name
        assert list(found["monotonic_nanos"]) == list(expected["monotonic_nanos"]), name
        assert found.isna().sum().sum() == expected.isna().sum().sum(), f"{name}: as many values are absent"


def values_by_pyarrow(folder):
    table = pyarrow.dataset.dataset(folder, format="parquet").to_table()
    return {name: table[name].cast("int64" if name == "time" else table[name].type).to_pylist() for name in table.column_names}


def values_by_polars(folder):
    frame = polars.scan_parquet(f"{folder}/*.parquet").collect()
    return {name: frame[name].to_physical().to_list() for name in frame.columns}


def values_by_duckdb(folder):
    rows = duckdb.sql(f"SELECT * REPLACE (epoch_ns(time) AS time) FROM '{folder}/*.parquet'")
    return dict(zip(rows.columns, map(list, zip(*rows.fetchall()))))


def duckdb_keeps_nanoseconds(folder):
    return str(duckdb.sql(f"SELECT time FROM '{folder}/*.parquet'").types[0]).endswith("_NS")


def exactly(rows):
    """Rows told apart by what Python's == takes for equal: 0.0, -0.0 and 0."""
    return sorted(map(repr, rows))


def values_by_export(folder, kinds, path):
    """What the export says, as values of these types. An absent text and an empty one look alike there."""
    barograph("export", folder.parent, "-o", path, "--table", folder.name)
    csv.field_size_limit(1 << 30)
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file, strict=True)
    if folder.name == "events":
        # The export tells what is so now, and the key by which it can be revised, which nobody stores.
        place = names.index("key")
        names, *rows = ([*row[:place], *row[place + 1 :]] for row in (names, *rows))

    def value(name, text):
        if name == "time":
            whole, nanos = re.fullmatch(r"(.*)\.(\d{9})Z", text).groups()
            return int(datetime.datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000_000 + int(nanos)
        if kinds[name] == "string":
            return text
        return None if text == "" else int(text) if kinds[name] == "int64" else float(text)

    return {name: [value(name, row[place]) for row in rows] for place, name in enumerate(names)}


@pytest.mark.parametrize("recording", ["run", "telling_run"])
def test_all_readers_and_the_export_say_the_same_values(recording, request, tmp_path):
    recording = request.getfixturevalue(recording)
    kinds_seen = set()
    for name in tables(recording):
        folder = recording / name
        expected = values_by_pyarrow(folder)
        schema = pyarrow.parquet.read_schema(sorted(folder.glob("[0-9]*.parquet"))[0])
        kinds = {field.name: str(field.type) for field in schema}
        kinds_seen |= {(kinds[column], None in values) for column, values in expected.items()}

        found = values_by_polars(folder)
        assert list(found) == list(expected), name
        for column, values in expected.items():
            assert list(map(repr, found[column])) == list(map(repr, values)), f"{name}.{column} in polars"

        found = values_by_duckdb(folder)
        assert list(found) == list(expected), name
        for column, values in expected.items():
            if column == "time" and not duckdb_keeps_nanoseconds(folder):
                values, found[column] = [nanos // 1000 for nanos in values], [nanos // 1000 for nanos in found[column]]
            assert list(map(repr, found[column])) == list(map(repr, values)), f"{name}.{column} in DuckDB"

        found = values_by_export(folder, kinds, tmp_path / f"{name}.csv")
        if name == "events":
            # Whom a revision revises, of which there are none here.
            assert not any(expected.pop("revises"))
        assert list(found) == list(expected), name
        said = {column: [value or "" for value in values] if kinds[column] == "string" else values for column, values in expected.items()}
        # In the order of time, which the parts are not.
        assert found["monotonic_nanos"] == sorted(found["monotonic_nanos"]), name
        assert exactly(zip(*found.values())) == exactly(zip(*said.values())), f"{name} in the export"
    assert {("int64", False), ("int64", True), ("double", True), ("string", False), ("string", True)} <= kinds_seen


def test_what_a_program_tells_comes_to_every_reader(telling_run):
    events, gauges = values_by_duckdb(telling_run / "events"), values_by_polars(telling_run / "gauges")
    assert {"a", 'half "way"', "a line\nand more", "ß 漢字 🦀", "\\", "'", "\0", "a\0b", "long " * 800} <= set(events["detail"])
    assert {"0.0", "-0.0", "5e-324", "1.7976931348623157e+308", "-1.5", "3.0", repr(1 / 3)} <= set(map(repr, gauges["value"]))
    assert len(set(values_by_pyarrow(telling_run / "span_edges")["span"])) == 300


def steadily(reader, folder):
    """Reads again where a reader that opens a file twice has met two states of it, as FORMAT.md advises. A panic of polars is no Exception."""
    for _ in range(5):
        try:
            return reader(folder)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = error
    raise failure


@pytest.mark.parametrize("reader", READERS)
def test_a_live_recording_grows_and_stays_whole(live_run, reader):
    path, recorder = live_run
    before, readings = set(), 0
    while recorder.poll() is None:
        rows = steadily(reader, path / "process")
        keys = set(map(tuple, rows[KEY].astype({"time": "int64"}).values))
        assert len(keys) == len(rows), "no row stands twice"
        assert before <= keys, "what was there stays"
        before, readings = keys, readings + 1
    assert readings >= 3, "the recording was read while it grew"
    after = reader(path / "process")
    assert before <= set(map(tuple, after[KEY].astype({"time": "int64"}).values))
    assert recorder.returncode == 0


def test_every_part_is_a_whole_file_at_any_moment(live_run):
    path, recorder = live_run
    opened = 0
    while recorder.poll() is None:
        for part in path.glob("*/[0-9]*.parquet"):
            # Opened once: `read_table` opens a file twice.
            assert pyarrow.parquet.ParquetFile(part).read().num_rows > 0
            opened += 1
    assert opened > 20


def test_types_and_metadata_are_those_of_the_metrics(run, metrics):
    types = {"int": pyarrow.int64(), "float": pyarrow.float64(), "text": pyarrow.string()}
    seen = 0
    for name in tables(run):
        for part in sorted((run / name).glob("*.parquet")):
            schema = pyarrow.parquet.read_schema(part)
            assert schema.names[:2] == ["time", "monotonic_nanos"], name
            assert schema.field("time").type == pyarrow.timestamp("ns", tz="UTC"), name
            assert schema.field("monotonic_nanos").type == pyarrow.int64(), name
            for field in list(schema)[2:]:
                metric = metrics[name, field.name]
                said = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
                assert {key: said.get(key) for key in ("kind", "unit", "help")} == {key: metric[key] for key in ("kind", "unit", "help")}
                assert field.type in types.values(), field
                seen += 1
    assert seen > 100


def test_keys_are_never_absent(run, metrics):
    for name in tables(run):
        rows = by_pyarrow(run / name)
        for column in rows.columns:
            if metrics.get((name, column), {}).get("is_key"):
                assert not rows[column].isna().any(), f"{name}.{column}"


def test_a_column_that_is_read_now_and_then_is_null_between(run):
    rows = by_pyarrow(run / "process")
    assert rows["peak_resident_bytes"].isna().any() and rows["peak_resident_bytes"].notna().any()
    assert rows["resident_bytes"].notna().all()
    assert not (rows["peak_resident_bytes"] == 0).any(), "absent is not zero"
