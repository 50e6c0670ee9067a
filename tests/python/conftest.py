"""What the tests share: the binary, and recordings made with it."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BAROGRAPH = os.environ.get("BAROGRAPH", str(ROOT / "target" / "debug" / "barograph"))
DEADLINE = 60

# Does a little of everything for some seconds: CPU, memory, children, files.
JOB = """
import subprocess, sys, time
block = bytearray(50 << 20)
block[::4096] = b"x" * len(block[::4096])
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    subprocess.run(["sh", "-c", "head -c 1000000 /dev/zero > scratch"], check=True)
    sum(range(300_000))
    time.sleep(0.02)
"""


def barograph(*arguments, **options):
    """Runs the binary, which must succeed, and returns its standard output."""
    command = [BAROGRAPH, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, **options)
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
    return ended.stdout


def job(seconds):
    return ["--", sys.executable, "-c", JOB, str(seconds)]


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A recording that has ended."""
    folder = tmp_path_factory.mktemp("ended")
    barograph("run", "-q", "-i", "50ms", "-o", "run", *job(2), cwd=folder)
    return folder / "run.baro"


@pytest.fixture
def live_run(tmp_path):
    """A recording of a job that goes on while the test reads it, published every 100 ms."""
    command = [BAROGRAPH, "run", "-q", "-i", "10ms", "-w", "100ms", "-o", "run", *job(4)]
    recorder = subprocess.Popen(command, cwd=tmp_path)
    path = tmp_path / "run.baro"
    try:
        deadline = time.monotonic() + DEADLINE
        while not list(path.glob("process/*.parquet")):
            assert recorder.poll() is None and time.monotonic() < deadline, "nothing was published"
            time.sleep(0.01)
        yield path, recorder
    finally:
        recorder.terminate()
        recorder.wait(DEADLINE)


@pytest.fixture(scope="session")
def metrics():
    """What `barograph metrics --json` says, by table and column."""
    return {(metric["table"], metric["column"]): metric for metric in json.loads(barograph("metrics", "--json"))}


def tables(recording):
    """Names of the tables: folders with parts in them."""
    return sorted(folder.name for folder in recording.iterdir() if list(folder.glob("[0-9]*.parquet")))
