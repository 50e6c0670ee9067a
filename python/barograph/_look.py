"""What is true right now."""

from __future__ import annotations

import os
from typing import NamedTuple

from . import _native
from ._table import Table


class Process(NamedTuple):
    """A process, and what it has and uses."""

    pid: int
    parent: int
    name: str
    #: Its command line, or its name if it has none.
    command: str
    #: What it does: ``R`` runs, ``S`` sleeps, ``D`` waits for a device.
    state: str
    threads: int
    #: RAM that it has, pages that it shares included.
    resident_bytes: int
    #: CPU time that it has used since it began.
    cpu_seconds: float
    #: CPU seconds per second while we watched.
    cores: float


def snapshot(processes: str = "all") -> dict[str, Table]:
    """One reading of everything: a table by each name, as a recording has them, without those that have no rows.

    ``processes`` tells which of them get rows: ``all``, ``top:N``, ``name:REGEX``, ``user:NAME`` or ``none``.
    """
    return {name: Table(rows, name) for name, rows in _native.snapshot(processes)}


def tree(pid: int | None = None, sample: float = 0.3) -> list[Process]:
    """A process, or this one, and all its descendants, in the order of pids; watched for ``sample`` seconds to know what they use.

    ``ProcessLookupError`` if there is no such process.
    """
    return [Process(*process) for process in _native.tree(os.getpid() if pid is None else pid, sample)]
