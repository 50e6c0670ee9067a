"""pyarrow, pandas, polars and DuckDB read a recording with no help from us, while it is written and after."""

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

from conftest import tables

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
