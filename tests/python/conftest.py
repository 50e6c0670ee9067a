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


# Of what programs send: texts of all sorts, spans in spans, numbers whole and broken.
TELLING = """
import json, os, socket, sys, time
place = os.environ["BAROGRAPH_BEACON"]
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.connect("\\0" + place[1:] if place.startswith("@") else place)
odd = ["", "a", "half \\"way\\"", "a line\\nand more", "\u00df \u6f22\u5b57 \U0001f980", "\\\\", "'", "\\0", "a\\0b", "long " * 800]
numbers = [0.0, -0.0, 5e-324, 1.7976931348623157e308, -1.5, 3, 1 / 3, None]
for tick in range(30):
    for place, text in enumerate(odd):
        span = f"{tick}-{place}"
        sender.send(json.dumps({"mark": text or "empty", "detail": text}).encode())
        sender.send(json.dumps({"begin": text or "empty", "span": span, "attributes": {"text": text}}).encode())
        sender.send(json.dumps({"gauge": f"gauge {place}", "value": numbers[(tick + place) % len(numbers)]}).encode())
        sender.send(json.dumps({"end": span, "status": "error" if place else "ok", "detail": text}).encode())
    print(tick, flush=True)
    time.sleep(0.05)
"""


@pytest.fixture(scope="session")
def telling_run(tmp_path_factory):
    """A recording of a job that tells much of itself: all tables that a program can fill are in it."""
    folder = tmp_path_factory.mktemp("telling")
    barograph("run", "-q", "-i", "50ms", "-w", "200ms", "-o", "run", "--", sys.executable, "-c", TELLING, cwd=folder)
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
