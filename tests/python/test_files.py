"""Parquet files of other programs, opened in place of a recording: as each writes them where nobody says otherwise, and in every compression."""

import csv
import io
import subprocess

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

from conftest import BAROGRAPH, barograph

TABLE = pandas.DataFrame({
    "time": pandas.date_range("2026-11-20", periods=2000, freq="s", tz="UTC"),
    "loss": [1 / (1 + step) for step in range(2000)],
    "phase": pandas.Categorical(["warm up", "train"] * 1000),
})


def rows(path):
    """What an export of the file says of its own columns."""
    said = csv.DictReader(io.StringIO(barograph("export", path, "--table", path.stem, "--format", "csv", "-o", "-")))
    return [(float(row["loss"]), row["phase"]) for row in said]


def expected():
    return list(zip(TABLE["loss"], TABLE["phase"].astype(str)))


def by_duckdb(path):
    training = TABLE
    duckdb.sql(f"COPY (SELECT * FROM training) TO '{path}'")


WRITERS = {
    "pandas": lambda path: TABLE.to_parquet(path),
    "polars": lambda path: polars.from_pandas(TABLE).write_parquet(path),
    "duckdb": by_duckdb,
    "version_2": lambda path: pyarrow.parquet.write_table(pyarrow.Table.from_pandas(TABLE), path, data_page_version="2.0", use_dictionary=False),
    **{
        compression: lambda path, compression=compression: TABLE.to_parquet(path, compression=compression)
        for compression in ["snappy", "gzip", "lz4", "zstd", None]
    },
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_others_write_is_read(writer, tmp_path):
    path = tmp_path / "training.parquet"
    WRITERS[writer](path)
    assert rows(path) == expected()


def test_what_is_compressed_otherwise_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "training.parquet"
    TABLE.to_parquet(path, compression="brotli")
    ended = subprocess.run([BAROGRAPH, "report", path], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == f"barograph: {path}: it is compressed with Brotli, which is not read here; write it anew with Snappy, gzip, LZ4 or Zstandard\n"
