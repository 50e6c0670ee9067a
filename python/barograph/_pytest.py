"""``pytest --barograph``: one recording for the session, one span for each test, and what each test cost.

Nothing of it happens without the option. Under pytest-xdist the controller records, and the workers say which test they run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Optional

import pytest

from ._human import seconds, size

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from ._record import Recorder
    from ._recording import Recording
    from ._words import Span

#: Where it is recorded unless told. The recording of the session before is replaced.
_DEFAULT = "pytest.baro"

#: Tests that the summary lists.
_LISTED = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("barograph", "what tests cost")
    group.addoption(
        "--barograph",
        nargs="?",
        const=_DEFAULT,
        metavar="PATH",
        help=f"record the session ({_DEFAULT} if no path is given), and tell what each test cost",
    )
    group.addoption("--barograph-interval", type=float, default=0.1, metavar="SECONDS", help="time between two readings (default: 0.1)")


def pytest_configure(config: pytest.Config) -> None:
    """Begins, if that is asked for."""
    path = config.getoption("--barograph")
    if path is not None:
        config.pluginmanager.register(_Plugin(config, path), "barograph-session")


class Failed(Exception):
    """How the span of a test is ended that fails without an exception."""


class _Usage:
    """What this process, and the children that it has waited for, have used so far: exact values of the kernel."""

    def __init__(self) -> None:
        self.wall = time.perf_counter()
        times = os.times()
        # CPU time of the process comes finer by its clock than by times(2).
        self.cpu = time.process_time() + times.children_user + times.children_system
        self.read, self.written = _io()

    def since(self, before: _Usage) -> list[tuple[str, float]]:
        used: list[tuple[str, float]] = [
            ("barograph.wall_seconds", round(self.wall - before.wall, 6)),
            ("barograph.cpu_seconds", round(self.cpu - before.cpu, 6)),
        ]
        if self.read is not None and before.read is not None and self.written is not None and before.written is not None:
            used += [("barograph.read_bytes", self.read - before.read), ("barograph.written_bytes", self.written - before.written)]
        return used


def _io() -> tuple[Optional[int], Optional[int]]:
    try:
        with open("/proc/self/io", "rb") as file:
            said = dict(line.split(b": ") for line in file.read().splitlines())
        return int(said[b"rchar"]), int(said[b"wchar"])
    except (OSError, KeyError, ValueError):
        return None, None


class _Plugin:
    def __init__(self, config: pytest.Config, path: str) -> None:
        self._config = config
        self._path = path
        self._recorder: Recorder | None = None
        self._recording: Recording | None = None
        self._trouble: str | None = None
        self._failure: BaseException | None = None
        self._before: _Usage | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        if hasattr(self._config, "workerinput"):
            # A worker of xdist: the controller records it, and its address is in the environment.
            return
        import barograph

        try:
            interval = self._config.getoption("--barograph-interval")
            self._recorder = barograph.record(self._path, interval=interval, force=self._path == _DEFAULT).start()
        except (barograph.Error, ValueError) as error:
            raise pytest.UsageError(f"--barograph: {error}") from None

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        import barograph

        self._failure = None
        span: Span = barograph.span(item.nodeid)
        self._before = _Usage()
        span.__enter__()
        yield
        failure, self._failure = self._failure, None
        span.__exit__(None if failure is None else type(failure), failure, None)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        # Before the report of the last phase is made, as it takes the properties with it.
        if call.when == "teardown" and self._before is not None:
            item.user_properties.extend(_Usage().since(self._before))
        outcome = yield
        report = outcome.get_result()
        if report.failed and self._failure is None:
            self._failure = call.excinfo.value if call.excinfo else Failed(report.longrepr)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        if self._recorder is None:
            return
        from ._native import BarographError

        try:
            self._recorder.stop()
        except BarographError as error:
            self._trouble = str(error)
        self._recording = self._recorder.recording

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._recording is None:
            return
        terminalreporter.section("barograph: what tests cost")
        rows = _tests(self._recording)
        for line in _lines(rows[:_LISTED]):
            terminalreporter.write_line(line)
        if len(rows) > _LISTED:
            terminalreporter.write_line(f"and {len(rows) - _LISTED} more tests, each with less CPU time")
        if self._trouble is not None:
            terminalreporter.write_line(self._trouble, yellow=True)
        terminalreporter.write_line(f"recorded in {self._recording.path}  (barograph report {self._recording.path})")


def _tests(recording: Recording) -> list[dict[str, Any]]:
    """Spans of tests, those with most CPU time first."""
    spans = [span for span in recording.spans() if span["depth"] == 0]
    return sorted(spans, key=lambda span: -(_cpu(span) or 0.0))


def _cpu(span: dict[str, Any]) -> float | None:
    """CPU time of the test with its children: from samples, but no less than what is exactly known of its own process."""
    known: list[float] = [span[name] for name in ("cpu_seconds", "tree_cpu_seconds") if span[name] is not None]
    return max(known, default=None)


def _lines(spans: list[dict[str, Any]]) -> list[str]:
    table = [("WALL", "CPU", "PEAK MEM", "READ", "WRITTEN", "TEST")]
    for span in spans:
        peak = max((value for value in (span["peak_resident_bytes"], span["tree_peak_resident_bytes"]) if value is not None), default=None)
        said = "" if span["status"] == "ok" else f"  [{span['status']}]"
        numbers = (seconds(span["wall_seconds"]), seconds(_cpu(span)), size(peak), size(span["read_bytes"]), size(span["written_bytes"]))
        table.append((*numbers, f"{span['name']}{said}"))
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    return ["  ".join([*(text.rjust(width) for text, width in zip(row, widths)), row[5]]) for row in table]

