"""Recordings, opened: their tables, spans and events, and what they come to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional, Union

from . import _native, _program
from ._table import Field, Table, moment

#: A moment: a time, or how long after the start. A time without a zone is one of the local zone, as everywhere in Python.
When = Union[datetime, timedelta, float, int]


class Recording:
    """A recording, whether it has ended, still grows or was cut off. Each answer is what is on disk at that moment: ask again, and a live one says more.

    ``run["process"]`` is a table; ``run.tables`` names them all, ``run.describe(name)`` tells what its columns are.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        #: Its folder.
        self.path: Path = Path(path)
        self._source = _native.Source(os.fspath(path))
        self._from: int | None = None
        self._to: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What ``recording.json`` says: host, command, limits, clock, and how it ended."""
        facts: dict[str, Any] = json.loads(self._source.facts())
        return facts

    @property
    def state(self) -> str:
        """``live``, ``ended`` or ``interrupted``."""
        return self._source.state()

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.facts["id"])

    @property
    def start(self) -> datetime:
        """When it began."""
        return moment(self._start())

    @property
    def end(self) -> datetime | None:
        """When it ended; ``None`` while it is live, or if it was cut off."""
        end = self.facts.get("end")
        return moment(end["utc_nanos"]) if end else None

    @property
    def seconds(self) -> float | None:
        """How long it took; ``None`` while it is live, or if it was cut off."""
        facts = self.facts
        end = facts.get("end")
        return (end["monotonic_nanos"] - facts["clock"]["monotonic_nanos"]) / 1e9 if end else None

    @property
    def tables(self) -> list[str]:
        """Names of the tables that have rows."""
        return self._source.tables()

    def describe(self, table: str) -> list[Field]:
        """What is known of the columns of a table: name, id, kind, unit and help of each."""
        return [Field(*column) for column in self._source.describe(table)[3]]

    def keys(self, table: str) -> list[str]:
        """The columns that name a row's subject, such as pid and start of a process."""
        return self._source.describe(table)[1]

    def damaged(self) -> list[tuple[Path, str]]:
        """The files that can't be read, and why; their rows are missing."""
        return [(Path(path), why) for path, why in self._source.damaged()]

    def __getitem__(self, table: str) -> Table:
        return self.table(table)

    def __contains__(self, table: object) -> bool:
        return table in self.tables

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def table(self, name: str, columns: Iterable[str] | None = None, where: Mapping[str, int | str] | None = None) -> Table:
        """Rows of a table: all, or these columns of those rows in which columns have these values, such as ``{"pid": 4312}``.

        ``time`` and ``monotonic_nanos`` always come. ``KeyError`` names what there is where there is no such table or column.
        """
        where = where or {}
        numbers = [(column, value) for column, value in where.items() if isinstance(value, int)]
        texts = [(column, value) for column, value in where.items() if isinstance(value, str)]
        rows = self._source.rows(name, None if columns is None else list(columns), self._from, self._to, numbers, texts)
        return Table(rows, name)

    def spans(self, name: str | None = None) -> Table:
        """One row for each span, or each of this name, with what it cost: wall and CPU seconds, memory, bytes, faults.

        A number is ``exact`` where the program read it at both edges, or ``sampled``; columns that end in ``_how`` tell.
        """
        return Table(self._source.spans(name, self._from, self._to), "spans")

    def events(self) -> Table:
        """Marks of the program, and what people, rules and the recorder said of moments."""
        return Table(self._source.events(self._from, self._to), "events")

    def lines(self, by: str = "line") -> Table:
        """One row for each source line of its Python programs, or each function with ``by="function"``, with what it cost; what took most CPU time first.

        Columns that begin with ``total_`` are with all that it called, the others what it cost itself and in the libraries that it called. Shares are as right
        as samples can tell; sums are exact. Where nobody looked at lines there are no rows: ``facts["sources"].get("lines")`` tells, if it was tried. The
        samples themselves are the table ``run["lines"]``.
        """
        if by not in ("line", "function"):
            raise ValueError(f"by={by!r}: it is 'line' or 'function'")
        return Table(self._source.lines(by == "function", self._from, self._to), f"{by}s")

    def between(self, begin: When | None = None, end: When | None = None) -> Recording:
        """The same recording, of which only the rows of this time are seen, both ends included.

        Times are :class:`~datetime.datetime`, or seconds (a number or :class:`~datetime.timedelta`) since the start of the recording.
        """
        part = Recording(self.path)
        part._from = _latest(self._from, self._nanos(begin))
        part._to = _earliest(self._to, self._nanos(end))
        return part

    def during(self, span: Mapping[str, Any] | str, nth: int = 0) -> Recording:
        """The same recording, of which only the time of this span is seen: a row of :meth:`spans`, a span's id, or its name.

        Of several spans with that name it is the first, or the ``nth``; -1 is the last.
        """
        if isinstance(span, str):
            spans = self.spans()
            named = [row for row, (name, id) in enumerate(zip(spans["name"], spans["span"])) if span in (name, id)]
            if not -len(named) <= nth < len(named):
                raise KeyError(f"there are {len(named)} spans {span!r} here, and no number {nth}")
            span = spans[named[nth]]
        end = span["end_time"]
        # A time of Python has microseconds, and the end is within the last one.
        return self.between(span["time"], end + timedelta(microseconds=1) if end else None)

    def summary(self) -> dict[str, Any]:
        """What it comes to: facts, totals, means and peaks, spans, the processes that used most. The same as ``barograph report --json``."""
        import subprocess

        command = [_program.program(), "report", "--json", os.fspath(self.path)]
        for option, nanos in (("--from", self._from), ("--to", self._to)):
            if nanos is not None:
                command += [option, _rfc3339(nanos)]
        said = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if said.returncode != 0:
            raise _native.BarographError(said.stderr.decode(errors="replace").strip().removeprefix("barograph: "))
        summary: dict[str, Any] = json.loads(said.stdout)
        return summary

    def _start(self) -> int:
        return int(self.facts["clock"]["utc_nanos"])

    def _nanos(self, when: When | None) -> int | None:
        if when is None:
            return None
        if isinstance(when, datetime):
            since = when.astimezone(timezone.utc) - moment(0)
            return (since.days * 86400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
        if isinstance(when, timedelta):
            when = when.total_seconds()
        return self._start() + round(when * 1e9)

    def __repr__(self) -> str:
        return f"<barograph.Recording {os.fspath(self.path)!r}: {self.state}>"


def _latest(a: Optional[int], b: Optional[int]) -> Optional[int]:
    return a if b is None else b if a is None else max(a, b)


def _earliest(a: Optional[int], b: Optional[int]) -> Optional[int]:
    return a if b is None else b if a is None else min(a, b)


def _rfc3339(nanos: int) -> str:
    return f"{moment(nanos).strftime('%Y-%m-%dT%H:%M:%S')}.{nanos % 1_000_000_000:09}Z"


def open(path: str | os.PathLike[str]) -> Recording:
    """Opens a recording of any state. ``FileNotFoundError`` if there is none; :class:`barograph.Error` if it can't be read."""
    return Recording(path)
