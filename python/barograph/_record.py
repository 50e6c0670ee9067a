"""Recording from within: this program and the machine, or other processes, by threads that never wait for Python."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from . import _native
from ._program import hertz
from ._recording import Recording

_BEACON = "BAROGRAPH_BEACON"
_RECORDING = "BAROGRAPH_RECORDING"

#: Recorders that run, the latest last: it is the one that hears what this program and its children say.
_running: list[Recorder] = []

#: What the environment said before the first of them began.
_before: dict[str, str | None] = {}

#: How long what was said last may take to arrive: a recorder that has heard enough listens again within a second, if it is let run.
_LAST_WORDS = 2.0

#: The same where the recorder is in this process, and hears it in the end.
_OWN_LAST_WORDS = 20.0


class Recorder:
    """A recorder, made by :func:`record` or :func:`attach`: it runs between :meth:`start` and :meth:`stop`, or within ``with``.

    It may be started again, in a forked child too: that makes another recording.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        pids: list[int] | None,
        machine: bool,
        interval: float,
        write_interval: float,
        duration: float | None,
        processes: str | None,
        max_overhead: float | None,
        force: bool,
        lines: bool | int,
    ) -> None:
        self._path = None if path is None else os.fspath(path)
        self._pids = pids
        self._machine = machine
        self._interval = interval
        self._write_interval = write_interval
        self._duration = duration
        self._processes = processes
        self._max_overhead = max_overhead
        self._force = force
        self._lines = hertz(lines)
        self._session: _native.Session | None = None

    def start(self) -> Recorder:
        """Begins to record; when it returns, everything has been read once. Does nothing if it runs."""
        if self.running:
            return self
        session = _native.Session(
            pids=self._pids,
            machine=self._machine,
            path=self._path,
            interval=self._interval,
            write_interval=self._write_interval,
            duration=self._duration,
            processes=self._processes,
            max_overhead=self._max_overhead,
            force=self._force,
            lines=self._lines,
        )
        self._session = session
        if not _running:
            _before.update({name: os.environ.get(name) for name in (_BEACON, _RECORDING)})
        _running.append(self)
        _tell_the_latest()
        return self

    def stop(self) -> None:
        """Reads everything once more, writes the end, and returns when all is on disk. Does nothing if it does not run."""
        session = self._session
        if session is None or self not in _running:
            return
        try:
            if _running[-1] is self:
                _native.flush(_OWN_LAST_WORDS)
            session.stop()
        finally:
            _running.remove(self)
            _tell_the_latest()

    @property
    def running(self) -> bool:
        """Whether it records now. It does not in a child that was forked meanwhile: that one is recorded by its parent."""
        return self._session is not None and self._session.is_running

    def snapshot_now(self) -> None:
        """Reads everything now; when it returns, whoever opens the recording sees that, and what was said before."""
        _native.flush(_OWN_LAST_WORDS)
        self._begun().snapshot_now()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it ends by itself, as with a duration, or when all that it was attached to has ended. Returns whether it has."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.running:
            left = 0.05 if end is None else min(0.05, end - time.monotonic())
            if left <= 0:
                return False
            time.sleep(left)
        return True

    @property
    def path(self) -> Path:
        """Where it records: under the name that the recording got."""
        return Path(self._begun().path)

    @property
    def id(self) -> str:
        """The recording's id."""
        return self._begun().id

    @property
    def recording(self) -> Recording:
        """The recording, opened: also while it grows, up to the last write."""
        return Recording(self.path)

    def _begun(self) -> _native.Session:
        if self._session is None:
            raise _native.BarographError("nothing is recorded yet: call start(), or use `with`")
        return self._session

    def __enter__(self) -> Recorder:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self.stop()
        except _native.BarographError as error:
            if exception is None:
                raise
            # The job's own exception is the one to hear of.
            print(f"barograph: {error}", file=sys.stderr)

    def __repr__(self) -> str:
        if self._session is None:
            return "<barograph.Recorder: not started>"
        return f"<barograph.Recorder {str(self.path)!r}: {'running' if self.running else 'stopped'}>"


def record(
    path: str | os.PathLike[str] | None = None,
    *,
    interval: float = 1.0,
    write_interval: float = 10.0,
    machine: bool = False,
    processes: str | None = None,
    duration: float | None = None,
    max_overhead: float | None = None,
    force: bool = False,
    lines: bool | int = False,
) -> Recorder:
    """Records this process, all its descendants and the machine around them, from ``start()`` or ``with`` on.

    Args:
        path: Where: a folder ``NAME.baro``. Without it, it is named after the program and the time, in ``$BAROGRAPH_DIR`` or here. A name that is taken
            gets a number.
        interval: Seconds between two readings; the first ones come faster.
        write_interval: Seconds between two writes to disk: the most that a crash can lose.
        machine: Record the whole machine, with no process of its own.
        processes: Which processes get rows of their own: ``tree``, ``all``, ``top:N``, ``name:REGEX``, ``user:NAME`` or ``none``.
        duration: Seconds after which it ends by itself.
        max_overhead: What recording may cost, as a share of a core: 0.01 is a hundredth. Above, it does without what is dear, and says so.
        force: Replace a recording of that name.
        lines: Look 100 times a second, or so often, at which line of its source each Python program of the job is; :meth:`Recording.lines` says what
            the lines cost. It takes at most a tenth of a core.
    """
    return Recorder(
        path,
        pids=None,
        machine=machine,
        interval=interval,
        write_interval=write_interval,
        duration=duration,
        processes=processes,
        max_overhead=max_overhead,
        force=force,
        lines=lines,
    )


def attach(
    pid: int | Iterable[int],
    path: str | os.PathLike[str] | None = None,
    *,
    interval: float = 1.0,
    write_interval: float = 10.0,
    processes: str | None = None,
    duration: float | None = None,
    max_overhead: float | None = None,
    force: bool = False,
    lines: bool | int = False,
) -> Recorder:
    """Records processes that run already, with all their descendants; it ends by itself when they have. The rest is as with :func:`record`."""
    return Recorder(
        path,
        pids=[pid] if isinstance(pid, int) else list(pid),
        machine=False,
        interval=interval,
        write_interval=write_interval,
        duration=duration,
        processes=processes,
        max_overhead=max_overhead,
        force=force,
        lines=lines,
    )


def _tell_the_latest() -> None:
    """From now on the recorder that began last hears this program and the processes that it starts; with none, who did before."""
    latest = _running[-1]._begun() if _running else None
    if latest is None:
        said = dict(_before)
        _before.clear()
    else:
        said = {_BEACON: latest.beacon, _RECORDING: latest.id}
    for name, value in said.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _native.tell(said.get(_BEACON))


def _forget() -> None:
    """In a forked child no recorder runs; the parent's goes on hearing what the child says."""
    _running.clear()
    _before.clear()


def _stop_all() -> None:
    while _running:
        recorder = _running[-1]
        try:
            recorder.stop()
        except Exception as error:
            print(f"barograph: {error}", file=sys.stderr)


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_forget)


class _Worker:
    """What :mod:`multiprocessing` keeps a function for, to be called when a worker begins."""


_worker = _Worker()
_is_known = False


def _take_time_for_last_words() -> None:
    """A worker of :mod:`multiprocessing` ends by ``os._exit``, which leaves no time for last words: it takes the time before."""
    global _is_known
    util = sys.modules.get("multiprocessing.util")
    if util is None or _is_known:
        return
    _is_known = True

    def at_the_end(_: object = None) -> None:
        util.Finalize(None, _native.flush, args=(_LAST_WORDS,), exitpriority=-100)

    util.register_after_fork(_worker, at_the_end)
    # This may be a worker, which has begun already.
    at_the_end()


_take_time_for_last_words()
os.register_at_fork(before=_take_time_for_last_words)
