"""The recorder within this process, attached to others, and the program that comes with the package."""

import importlib.metadata
import logging
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import barograph
from conftest import burn, by_name, only, python


def test_the_last_sample_is_that_of_the_end(tmp_path):
    recorder = barograph.record(tmp_path / "run", interval=3600)
    recorder.start()
    time.sleep(0.6)
    block = b"x" * (64 << 20)
    recorder.stop()
    resident = recorder.recording["job"]["resident_bytes"]
    assert resident[-1] - resident[0] > 60 << 20, len(block)
    assert recorder.recording.end is not None


def test_it_starts_and_stops_as_often_as_one_likes(tmp_path):
    recorder = barograph.record(tmp_path / "run", interval=0.05)
    assert not recorder.running
    recorder.stop()
    with pytest.raises(barograph.Error, match="start"):
        recorder.path
    paths = []
    for turn in range(3):
        assert recorder.start() is recorder
        assert recorder.start() is recorder and recorder.running
        barograph.mark(f"turn {turn}")
        paths.append(recorder.path)
        recorder.stop()
        recorder.stop()
        assert not recorder.running
        assert recorder.recording.state == "ended"
    assert [path.name for path in paths] == ["run.baro", "run-2.baro", "run-3.baro"]
    for turn, path in enumerate(paths):
        said = [event["name"] for event in barograph.open(path).events() if event["by"] == "program"]
        assert said == [f"turn {turn}"]


def test_the_environment_is_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("BAROGRAPH_BEACON", "@nobody-is-there")
    with barograph.record(tmp_path / "outer") as outer:
        heard = os.environ["BAROGRAPH_BEACON"]
        assert heard != "@nobody-is-there" and os.environ["BAROGRAPH_RECORDING"] == outer.id
        with barograph.record(tmp_path / "inner") as inner:
            assert os.environ["BAROGRAPH_RECORDING"] == inner.id
            barograph.mark("to the inner one")
        assert (os.environ["BAROGRAPH_BEACON"], os.environ["BAROGRAPH_RECORDING"]) == (heard, outer.id)
        barograph.mark("to the outer one")
    assert os.environ["BAROGRAPH_BEACON"] == "@nobody-is-there" and "BAROGRAPH_RECORDING" not in os.environ
    assert not barograph.is_on()
    for recorder, name in ((outer, "to the outer one"), (inner, "to the inner one")):
        assert [event["name"] for event in recorder.recording.events() if event["by"] == "program"] == [name]


def test_a_live_recording_tells_what_was_said_before_snapshot_now(tmp_path):
    with barograph.record(tmp_path / "run", interval=3600, write_interval=3600) as recorder:
        recording = barograph.open(recorder.path)
        for turn in range(3):
            before = len(recording["job"]) if "job" in recording else 0
            barograph.mark(f"turn {turn}")
            recorder.snapshot_now()
            assert recording.state == "live" and recording.end is None and recording.seconds is None
            assert len(recording["job"]) > before
            assert f"turn {turn}" in recording.events()["name"]
    assert recording.state == "ended" and recording.seconds > 0


def test_it_goes_on_while_python_does_not(tmp_path):
    """One long call that keeps the interpreter's lock from its begin to its end."""
    with barograph.record(tmp_path / "run", interval=0.02) as recorder:
        time.sleep(1.2)
        begin = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        cpu = time.thread_time()
        while time.thread_time() - cpu < 0.5:
            sum(range(20_000_000))
        longest = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    ticks = [nanos for nanos in recorder.recording["job"]["monotonic_nanos"] if begin <= nanos <= longest]
    assert len(ticks) >= 5, ticks


def test_nothing_that_is_wrong_is_taken(tmp_path):
    with pytest.raises(ValueError, match="interval"):
        barograph.record(tmp_path / "run", interval=0).start()
    with pytest.raises(ValueError, match="interval"):
        barograph.record(tmp_path / "run", interval=float("nan")).start()
    with pytest.raises(ValueError, match="processes"):
        barograph.record(tmp_path / "run", processes="some").start()
    (tmp_path / "file").write_text("x")
    with pytest.raises(barograph.Error, match="file"):
        barograph.record(tmp_path / "file" / "run").start()
    assert not list(tmp_path.glob("*.baro"))
    assert not barograph.is_on() and "BAROGRAPH_BEACON" not in os.environ


def test_an_exception_in_the_block_ends_the_recording(tmp_path):
    with pytest.raises(ZeroDivisionError), barograph.record(tmp_path / "run") as recorder:
        1 / 0
    assert recorder.recording.state == "ended"


def test_force_replaces_and_duration_ends(tmp_path):
    with barograph.record(tmp_path / "run") as recorder:
        first = recorder.id
    with barograph.record(tmp_path / "run", force=True, duration=2) as recorder:
        assert recorder.path == tmp_path / "run.baro" and recorder.id != first
        assert not recorder.wait(0.0)
        assert recorder.wait(30)
        assert not recorder.running
    assert recorder.recording.facts["end"]["reason"] == "duration"


def test_a_script_that_forgets_to_stop_has_a_whole_recording(tmp_path):
    code = "import sys, barograph\nbarograph.record(sys.argv[1]).start()\nbarograph.mark('last words')"
    python(code, tmp_path / "run")
    recording = barograph.open(tmp_path / "run.baro")
    assert recording.state == "ended"
    assert "last words" in recording.events()["name"]


def test_attach_records_others_and_ends_with_them(tmp_path):
    code = "import time, barograph\nfor turn in range(20):\n  barograph.mark('mine'); time.sleep(0.05)"
    job = subprocess.Popen([sys.executable, "-c", code])
    with barograph.attach(job.pid, tmp_path / "run", interval=0.05) as recorder:
        assert recorder.running
        barograph.mark("beside")
        job.wait()
        assert recorder.wait(30)
    recording = recorder.recording
    assert recording.facts["root"]["pid"] == job.pid
    assert job.pid in recording["processes"]["pid"] and os.getpid() not in recording["processes"]["pid"]
    assert "beside" in recording.events()["name"]


def test_run_gives_exit_status_and_recording(tmp_path, capfd):
    code = "import sys; print('hello'); print('there', file=sys.stderr); sys.exit(7)"
    ran = barograph.run([sys.executable, "-c", code], tmp_path / "run", interval=0.05)
    status, recording = ran
    assert status == ran.exit_status == 7
    assert tuple(capfd.readouterr()) == ("hello\n", "there\n"), "the command's own words, and no others"
    assert recording.facts["end"]["exit"]["code"] == 7
    killed = barograph.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path / "run")
    assert killed.exit_status == 128 + signal.SIGKILL
    assert killed.recording.path.name == "run-2.baro"
    with pytest.raises(TypeError, match="list"):
        barograph.run("echo hello")


def test_run_names_its_recording(tmp_path, monkeypatch):
    monkeypatch.setenv("BAROGRAPH_DIR", str(tmp_path))
    ran = barograph.run(["true"])
    assert ran.recording.path.parent == tmp_path and ran.recording.path.name.startswith("true-")


def test_the_program_comes_with_the_package():
    program = pathlib.Path(sys.prefix, "bin", "barograph")
    assert program.read_bytes()[:4] == b"\x7fELF"
    version = f"barograph {importlib.metadata.version('barograph')}"
    assert subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip() == version
    ended = subprocess.run([sys.executable, "-m", "barograph", "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == version


def test_records_of_the_log_become_marks(recorded):
    log = logging.getLogger("train.loop")
    log.setLevel(logging.DEBUG)
    handler = barograph.LogHandler(logging.WARNING)
    log.addHandler(handler)
    log.propagate = False
    try:
        log.error("before anybody listens")
        with recorded() as told:
            log.info("not so high")
            log.warning("%d of %s", 3, "many")
            log.warning("%d", "no number")
            try:
                burn(0.001)
                raise ValueError("why")
            except ValueError:
                log.exception("it failed")
    finally:
        log.removeHandler(handler)
    events = by_name([event for event in told().events() if event["by"] == "program"])
    assert set(events) == {"3 of many", "it failed"}
    assert only(events["it failed"])["detail"] == "ValueError: why"
    assert '"level":"WARNING","logger":"train.loop"' in only(events["3 of many"])["attributes"]


def test_a_snapshot_is_one_reading_of_everything():
    tables = barograph.snapshot()
    assert {"memory", "cpu", "process", "processes"} <= set(tables)
    assert os.getpid() in tables["process"]["pid"]
    assert tables["memory"][0]["available_bytes"] > 1 << 20
    assert {field.name: field.unit for field in tables["memory"].fields}["available_bytes"] == "bytes"
    assert not barograph.snapshot("name:no-such-program").get("process")
    with pytest.raises(ValueError, match="processes"):
        barograph.snapshot("some")


def test_a_tree_has_what_a_process_started():
    child = subprocess.Popen([sys.executable, "-c", "import time\nwhile True: pass"])
    try:
        nodes = {process.pid: process for process in barograph.tree(sample=0.5)}
        assert set(nodes) >= {os.getpid(), child.pid}
        assert nodes[child.pid].parent == os.getpid() and "while True: pass" in nodes[child.pid].command
        assert nodes[child.pid].cores > 0 and nodes[os.getpid()].resident_bytes > 1 << 20
        assert [process.pid for process in barograph.tree(child.pid, sample=0)] == [child.pid]
    finally:
        child.kill()
        child.wait()
    with pytest.raises(ProcessLookupError):
        barograph.tree(child.pid)
