"""Which lines of a program cost what: a hot line and one that takes memory are found, from within and from outside."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

import barograph
from barograph._program import program
from conftest import ROOT, only, python

HOT = ROOT / "examples" / "jobs" / "hot.py"

#: The same, recorded from within.
WITHIN = """
import runpy, sys, barograph
path, job = sys.argv[1:]
del sys.argv[1:]
with barograph.record(path, interval=0.1, lines=True):
    runpy.run_path(job)
"""


def line_of(remark):
    return only(number for number, line in enumerate(HOT.read_text().splitlines(), 1) if line.endswith(f"# the {remark} line"))


def found(recording):
    """What is known to be so is found to be so."""
    assert recording.facts["sources"]["lines"] == "ok"
    lines = recording.lines()
    assert lines.columns[:5] == ["file", "line", "function", "samples", "seconds"]
    mine = {row["line"]: row for row in lines if pathlib.Path(row["file"]).name == HOT.name}
    hot, allocating = mine[line_of("hot")], mine[line_of("allocating")]
    # No clock is asked in the loop: on an overbooked machine a line with a system call looks dearer than it is.
    everything = sum(lines["cpu_seconds"])
    assert everything > 0.5 and hot["cpu_seconds"] > 0.5 * everything, (hot, everything)
    assert lines[0] == hot, "what took most comes first"
    assert hot["samples"] > 10
    assert 200e6 < allocating["resident_bytes"] < 400e6, allocating
    assert abs(hot["resident_bytes"]) < 60e6, hot
    functions = {row["function"]: row for row in recording.lines(by="function") if pathlib.Path(row["file"]).name == HOT.name}
    assert functions["main"]["line"] is None
    # The rest is how Python begins.
    assert functions["main"]["total_cpu_seconds"] > 0.6 * everything > functions["main"]["cpu_seconds"] * 2
    return hot


def test_from_within(tmp_path):
    python(WITHIN, tmp_path / "run", HOT)
    recording = barograph.open(tmp_path / "run.baro")
    hot = found(recording)
    report = [program(), "report", "--lines", "--json", recording.path]
    said = json.loads(subprocess.run(report, capture_output=True, check=True).stdout)["lines"]["lines"][0]
    assert (said["line"], said["own"]["cpu_seconds"]) == (hot["line"], pytest.approx(hot["cpu_seconds"])), "the report says the same"
    before = recording.between(None, 0)
    assert len(before.lines()) == 0 and before.lines().columns == recording.lines().columns
    assert len(recording["lines"]) >= sum(recording.lines()["samples"]), "the samples are there too"


def test_from_outside(tmp_path):
    found(barograph.run([sys.executable, HOT], tmp_path / "run", interval=0.1, lines=100).recording)


def test_attached(tmp_path):
    code = "import sys\nprint(flush=True)\nwhile not sys.stdin.closed:\n    sum(range(2000))"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with barograph.attach(other.pid, tmp_path / "run", lines=200) as recorder:
            time.sleep(0.7)
        other.kill()
    recording = recorder.recording
    assert recording.lines()[0]["line"] == 4 and set(recording["lines"]["pid"]) == {other.pid}


def test_it_looks_while_python_does_nothing_else(tmp_path):
    """One call that never lets go of Python's lock is seen many times: whoever looks does not wait for the lock."""
    code = """
import sys, time, barograph
with barograph.record(sys.argv[1], lines=True):
    time.sleep(0.3)
    begin = time.thread_time()
    sum(range(60_000_000))  # one call
    print(time.thread_time() - begin)
"""
    seconds = float(python(code, tmp_path / "run").stdout)
    recording = barograph.open(tmp_path / "run.baro")
    call = only(row for row in recording.lines() if row["line"] == 6)
    assert call["samples"] > 10 * seconds and call["seconds"] > 0.5 * seconds, call


def test_who_has_not_asked_gets_none(recorded):
    with recorded() as told:
        time.sleep(0.1)
    assert len(told().lines()) == 0 and "lines" not in told() and "lines" not in told().facts["sources"]


@pytest.mark.parametrize("wrong", [0, 1001, -5, 1.5, "yes", None])
def test_how_often_is_checked_at_once(wrong):
    with pytest.raises(ValueError, match=r"lines=.*1 to 1000"):
        barograph.record("nowhere", lines=wrong)
    with pytest.raises(ValueError, match=r"lines=.*1 to 1000"):
        barograph.run(["true"], "nowhere", lines=wrong)
    with pytest.raises(ValueError, match="'file'"):
        barograph.Recording.lines(None, by="file")
