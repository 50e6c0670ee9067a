"""What the tests share. They test the package that is installed, and no other."""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest

import barograph

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE = 60


def pytest_configure():
    assert "site-packages" in barograph.__file__, f"{barograph.__file__} is not the installed package"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nobody records but the test."""
    for name in ("BAROGRAPH_BEACON", "BAROGRAPH_RECORDING", "BAROGRAPH_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def recorded(tmp_path):
    """Records a block; what it gives has the recording afterwards: `with recorded() as told: …`, then `told()`."""

    @contextlib.contextmanager
    def recorded(**options):
        recorder = barograph.record(tmp_path / "run", **{"interval": 0.05, **options})
        with recorder:
            yield lambda: recorder.recording
        assert recorder.recording.state == "ended"

    return recorded


def python(code, *arguments, check=True, env=None, cwd=None):
    """Runs a program of Python in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env={**os.environ, **(env or {})}, cwd=cwd)
    if check:
        assert ended.returncode == 0, ended.stderr
    return ended


def by_name(table):
    """Rows by their names."""
    rows = {}
    for row in table:
        rows.setdefault(row["name"], []).append(row)
    return rows


def only(rows):
    """The only one."""
    (row,) = rows
    return row


def burn(seconds):
    """Uses so much CPU time of this thread."""
    import time

    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
