"""Questions that people ask of a recording, answered in plain SQL and pandas, and compared with what we say ourselves."""

import csv
import io
import json

import duckdb
import pandas
import pytest

from conftest import barograph, tables


def end(run):
    return json.loads((run / "recording.json").read_text())["end"]


def test_job_and_machine_join_by_time(run):
    joined = duckdb.sql(f"""
        SELECT job.time, job.resident_bytes, cpu.idle_seconds, memory.available_bytes
        FROM '{run}/job/*.parquet' job JOIN '{run}/cpu/*.parquet' cpu USING (time) LEFT JOIN '{run}/memory/*.parquet' memory USING (time)
        ORDER BY time
    """).df()
    ticks = pandas.read_parquet(run / "job")["time"]
    assert len(joined) == len(ticks) > 5
    assert (joined["idle_seconds"] > 0).all()
    # The machine's memory is read at the first tick, at the last, and ten times a second.
    known = joined["available_bytes"].dropna()
    assert len(known) >= 3 and {joined.index[0], joined.index[-1]} <= set(known.index)
    assert (known > 0).all()


def test_names_of_processes_join_by_pid_and_start(run):
    busiest = duckdb.sql(f"""
        SELECT any_value(name) AS name, max(user_seconds + system_seconds) AS cpu, max(resident_bytes) AS memory
        FROM '{run}/process/*.parquet' JOIN '{run}/processes/*.parquet' USING (pid, start_ticks)
        GROUP BY pid, start_ticks ORDER BY memory DESC LIMIT 1
    """).df().iloc[0]
    assert busiest["name"].startswith("python")
    assert busiest["memory"] > 50 << 20


def test_sums_are_those_of_the_facts(run):
    totals = end(run)["totals"]
    job = pandas.read_parquet(run / "job")
    used = {column: job[column].iloc[-1] - job[column].iloc[0] for column in ("user_seconds", "system_seconds", "read_bytes", "written_bytes")}
    # wait4(2) counts finer than the clock ticks of the table.
    assert totals["user_seconds"] + totals["system_seconds"] == pytest.approx(used["user_seconds"] + used["system_seconds"], rel=0.1, abs=0.1)
    for column in ("read_bytes", "written_bytes"):
        assert totals[column] == used[column]
    assert totals["peak_resident_bytes"] >= job["resident_bytes"].max() > 50 << 20
    assert totals["processes_peak"] == job["processes"].max()


def test_counters_never_fall(run, metrics):
    for name in ("job", "cpu", "memory", "system", "own"):
        rows = pandas.read_parquet(run / name)
        keys = [column for column in rows.columns if metrics.get((name, column), {}).get("is_key")]
        # Processor times of the kernel may: iowait does, and says so.
        counters = [column for column in rows.columns if metrics.get((name, column), {}).get("kind") == "counter" and "iowait" not in column]
        groups = rows.groupby(keys) if keys else [((), rows)]
        for _, group in groups:
            for column in counters:
                assert group[column].dropna().is_monotonic_increasing, f"{name}.{column}"


def numbers(value, path=""):
    """Every number in nested JSON, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers(inner, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


def refuse(word):
    raise ValueError(f"{word} is no JSON")


def test_the_report_tells_the_same(run):
    report = json.loads(barograph("report", "--json", run), parse_constant=refuse)
    totals = end(run)["totals"]
    said = [value for _, value in numbers(report)]
    for column in ("peak_resident_bytes", "wall_seconds"):
        assert any(value == pytest.approx(totals[column], rel=1e-6) for value in said), f"{column} is not in the report"


def test_an_export_has_the_rows_of_the_table(run, tmp_path):
    job = pandas.read_parquet(run / "job")
    for ending, read in {"csv": pandas.read_csv, "parquet": pandas.read_parquet, "arrow": pandas.read_feather}.items():
        path = tmp_path / f"job.{ending}"
        barograph("export", run, "-o", path, "--table", "job")
        exported = read(path)
        assert len(exported) == len(job), ending
        assert list(exported["resident_bytes"]) == list(job["resident_bytes"]), ending
    path = tmp_path / "job.jsonl"
    barograph("export", run, "-o", path, "--table", "job")
    lines = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    assert [line["resident_bytes"] for line in lines] == list(job["resident_bytes"])


def test_the_wide_form_is_strict_csv(run, tmp_path):
    barograph("export", run, "-o", tmp_path / "wide.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "wide.csv").read_text()), strict=True))
    assert len({len(row) for row in rows}) == 1 and len(rows) > 5
    wide = pandas.read_csv(tmp_path / "wide.csv")
    job = pandas.read_parquet(run / "job")
    assert list(wide["job.resident_bytes"].dropna()) == list(job["resident_bytes"])


def test_every_table_can_be_exported(run, tmp_path):
    for name in tables(run):
        barograph("export", run, "-o", tmp_path / f"{name}.csv", "--table", name)
        assert len(pandas.read_csv(tmp_path / f"{name}.csv")) == len(pandas.read_parquet(run / name)), name
