"""The program that comes with the package: where it is, and recordings made by it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ._native import BarographError

if TYPE_CHECKING:
    import subprocess

    from ._recording import Recording

# What is imported within functions is not for who only says something.


class Ran(NamedTuple):
    """How a command ended that was run and recorded."""

    #: Its exit status; 128 and the signal's number if a signal ended it.
    exit_status: int
    recording: Recording


def program() -> str:
    """Path of the ``barograph`` program: the one that was installed with this package, or else that of ``PATH``."""
    for path in _candidates():
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    import shutil

    found = shutil.which("barograph")
    if found is None:
        raise BarographError("the program `barograph` is not where this package was installed, nor in PATH; install the package again")
    return found


def _candidates() -> list[str]:
    import importlib.metadata
    import sysconfig

    try:
        files = importlib.metadata.files("barograph") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    installed = [os.fspath(file.locate()) for file in files if file.name == "barograph" and file.parent.name == "bin"]
    return [*installed, os.path.join(sysconfig.get_path("scripts"), "barograph")]


def run(
    command: Sequence[str | os.PathLike[str]],
    path: str | os.PathLike[str] | None = None,
    *,
    interval: float = 1.0,
    write_interval: float = 10.0,
    processes: str | None = None,
    max_overhead: float | None = None,
    until: str = "tree",
    force: bool = False,
    lines: bool | int = False,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Ran:
    """Runs a command and records it, as ``barograph run`` does; returns its exit status and the recording.

    The command has our streams. Without ``path`` the recording is named after the command and the time, in ``$BAROGRAPH_DIR`` or here. A name that is
    taken gets a number, unless ``force`` says to replace that recording. The other options are those of the program, times in seconds, ``max_overhead``
    as a share of a core (0.005 is half a hundredth); ``lines`` is as with :func:`record`.
    """
    import subprocess

    words = [os.fspath(word) for word in command]
    if isinstance(command, (str, bytes)) or not words:
        raise TypeError("the command is a list of texts: the program and its arguments")
    folder = _folder(words[0], path, force)
    options = ["--quiet", "--interval", _seconds(interval), "--write-interval", _seconds(write_interval), "--until", until]
    options += ["--processes", processes] if processes is not None else []
    options += ["--max-overhead", f"{max_overhead * 100:.12g}%"] if max_overhead is not None else []
    options += ["--force"] if force else []
    rate = hertz(lines)
    options += [f"--lines={rate}"] if rate is not None else []
    line = [program(), "run", *options, "--output", os.fspath(folder), "--", *words]
    with subprocess.Popen(line, cwd=cwd, env=env) as recorder:
        status = _wait(recorder)
    from ._recording import open

    return Ran(status, open(folder))


def _wait(recorder: subprocess.Popen[bytes]) -> int:
    try:
        return recorder.wait()
    except KeyboardInterrupt:
        # A terminal has sent it to the recorder too, which passes it on; a notebook has sent it to us alone.
        if not _in_foreground():
            import signal

            recorder.send_signal(signal.SIGINT)
        recorder.wait()
        raise


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def hertz(lines: bool | int) -> int | None:
    """How often in a second lines are looked at, if at all."""
    if isinstance(lines, bool):
        return 100 if lines else None
    if not (isinstance(lines, int) and 1 <= lines <= 1000):
        raise ValueError(f"lines={lines!r}: it is True, or how many times a second: from 1 to 1000")
    return lines


def _seconds(seconds: float) -> str:
    return f"{round(seconds * 1e6)}us"


def _folder(name: str, path: str | os.PathLike[str] | None, force: bool) -> Path:
    """Where to record. What is free now may be taken a moment later: then the program says so, and nothing is lost."""
    if path is None:
        folder = os.environ.get("BAROGRAPH_DIR") or os.getcwd()
        path = Path(folder, f"{os.path.basename(name) or 'job'}-{time.strftime('%Y%m%d-%H%M%S')}.baro")
    path = Path(path)
    path = (path if path.suffix == ".baro" else path.with_name(path.name + ".baro")).absolute()
    free, number = path, 2
    while not force and os.path.lexists(free):
        free = path.with_name(f"{path.stem}-{number}.baro")
        number += 1
    return free
