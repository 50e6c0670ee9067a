"""``%%barograph``: what a cell of a notebook cost, as a table and a small picture under it."""

# IPython does not say of which types its decorators are.
# mypy: disable-error-code="no-untyped-call,untyped-decorator"

from __future__ import annotations

import html
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from ._human import seconds, size
from ._record import record
from ._recording import Recording
from ._words import span

#: Spans that are listed.
_LISTED = 10


@magics_class
class Barograph(Magics):
    """The magic."""

    @magic_arguments()
    @argument("-i", "--interval", type=float, default=0.1, help="seconds between two readings (default: 0.1)")
    @argument("-o", "--output", help="keep the recording under this name")
    @argument("statement", nargs="*", help="what %%barograph runs")
    @line_cell_magic
    def barograph(self, line: str, cell: str | None = None) -> None:
        """Records the cell, or the statement of the line, and shows what it cost."""
        said = parse_argstring(self.barograph, line)
        shell: Any = self.shell
        with _recorded(said) as tell:
            tell(shell.run_cell(cell if cell is not None else " ".join(said.statement)))

    async def awaiting(self, line: str, cell: str) -> None:
        """The same for a cell with ``await`` in it, which only the loop that runs in the kernel can run."""
        shell: Any = self.shell
        with _recorded(parse_argstring(self.barograph, line)) as tell:
            tell(await shell.run_cell_async(cell, transformed_cell=shell.transform_cell(cell)))


def load(shell: Any) -> None:
    """Adds the magics to a shell."""
    shell.register_magics(Barograph)

    def awaiting(lines: list[str]) -> list[str]:
        """A cell magic is called as a function is, where nothing can be awaited: such a cell becomes an ``await`` itself."""
        first, *rest = lines or [""]
        cell = "".join(rest)
        if first.split()[:1] != ["%%barograph"] or not shell.should_run_async(cell, transformed_cell=shell.transform_cell(cell)):
            return lines
        line = first.strip()[len("%%barograph") :].strip()
        return [f"await get_ipython().magics_manager.registry['Barograph'].awaiting({line!r}, {cell!r})\n"]

    shell.input_transformers_cleanup.append(awaiting)


@contextmanager
def _recorded(said: Any) -> Iterator[Callable[[Any], None]]:
    """Records what is done within, and shows what it cost. What it gives takes what IPython says of how that went."""
    folder = None if said.output else tempfile.mkdtemp(prefix="barograph-")
    try:
        recorder = record(said.output or Path(folder or "", "cell.baro"), interval=said.interval)
        with recorder:
            with span("cell") as whole:

                def tell(result: Any) -> None:
                    failure = result.error_before_exec or result.error_in_exec
                    if failure is not None:
                        # IPython has shown it already, and goes on.
                        whole.__exit__(type(failure), failure, None)

                yield tell
        display(Cost(recorder.recording, kept=said.output is not None))
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


class Cost:
    """What a recording of a cell came to."""

    def __init__(self, recording: Recording, kept: bool) -> None:
        spans = list(recording.spans())
        self._cell = next((span for span in spans if span["name"] == "cell"), None)
        self._spans = [span for span in spans if span is not self._cell]
        self._curves = _curves(recording)
        self._path = recording.path if kept else None

    def _rows(self) -> list[tuple[str, ...]]:
        order = sorted(self._spans, key=lambda span: -span["wall_seconds"])[:_LISTED]
        cell = [self._cell] if self._cell else []
        return [_row(span) for span in [*cell, *sorted(order, key=lambda span: span["time"])]]

    def __repr__(self) -> str:
        rows = [("", "wall", "CPU", "cores", "peak memory", "read", "written"), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(7)]
        lines = ["  ".join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:]))]) for row in rows]
        return "\n".join(lines + ([f"recorded in {self._path}"] if self._path else []))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("", "wall", "CPU", "cores", "peak memory", "read", "written"))
        body = "".join("<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>" for row in self._rows())
        kept = f"<p>recorded in <code>{html.escape(str(self._path))}</code></p>" if self._path else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{self.svg()}{kept}"

    def svg(self) -> str:
        """CPU and memory over time, with the spans below."""
        cores, memory, length = self._curves
        width, height, gap = 640, 70, 14
        parts = []
        for index, (name, points, colour, top) in enumerate(
            [("CPU", cores, "#1f77b4", f"{_top(cores):.2f} cores"), ("memory", memory, "#2ca02c", size(_top(memory)))]
        ):
            base = (index + 1) * (height + gap)
            highest = _top(points) or 1.0
            places = [(width * at / length, base - height * value / highest) for at, value in points]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            if places:
                area = f"{places[0][0]:.1f},{base} {line} {places[-1][0]:.1f},{base}"
                parts.append(f'<polygon points="{area}" fill="{colour}" fill-opacity="0.2"/>')
                parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            parts.append(f'<text x="0" y="{base - height - 3}">{name}, up to {top}</text>')
        bottom = 2 * (height + gap) + 4
        begin = self._cell["time"] if self._cell else None
        bars = sorted(self._spans, key=lambda span: -span["wall_seconds"])[:_LISTED] if begin else []
        for span in bars:
            left = width * (span["time"] - begin).total_seconds() / length
            wide = max(1.0, width * span["wall_seconds"] / length)
            colour = "#d62728" if span["status"] == "error" else "#888"
            row = bottom + 10 * min(span["depth"] - 1, 3)
            title = html.escape(f"{_plain(span['name'])}: {seconds(span['wall_seconds'])}")
            parts.append(f'<rect x="{left:.1f}" y="{row}" width="{wide:.1f}" height="8" fill="{colour}"><title>{title}</title></rect>')
        tall = bottom + (10 * (1 + max(min(span["depth"] - 1, 3) for span in bars)) if bars else 0)
        said = f"CPU and memory over {seconds(length)}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{tall}" viewBox="0 0 {width} {tall}" role="img" '
            f'aria-label="{said}" font-family="sans-serif" font-size="11" fill="currentColor">{"".join(parts)}</svg>'
        )


def _row(span: dict[str, Any]) -> tuple[str, ...]:
    peaks = [span[name] for name in ("peak_resident_bytes", "tree_peak_resident_bytes") if span[name] is not None]
    cpu = max((span[name] for name in ("cpu_seconds", "tree_cpu_seconds") if span[name] is not None), default=None)
    cores = "" if cpu is None or not span["wall_seconds"] else f"{cpu / span['wall_seconds']:.2f}"
    name = _plain(span["name"]) + {"ok": "", "error": " (error)", "open": " (open)"}[span["status"]]
    return (
        "\N{NO-BREAK SPACE}" * 2 * span["depth"] + name,
        seconds(span["wall_seconds"]),
        seconds(cpu),
        cores,
        size(max(peaks, default=None)),
        size(span["read_bytes"]),
        size(span["written_bytes"]),
    )


def _plain(name: str) -> str:
    """A name on one line, of a length that a table bears."""
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return name if len(name) <= 60 else name[:59] + "…"


_Points = list[tuple[float, float]]


def _curves(recording: Recording) -> tuple[_Points, _Points, float]:
    """Cores and memory of the tree over the seconds since the first reading."""
    job = recording.table("job", columns=["user_seconds", "system_seconds", "resident_bytes"])
    rows = zip(job["monotonic_nanos"], job["user_seconds"], job["system_seconds"], job["resident_bytes"])
    cores: _Points = []
    memory: _Points = []
    first: int | None = None
    last: tuple[float, float] | None = None
    for nanos, user, system, resident in rows:
        first = nanos if first is None else first
        at = (nanos - first) / 1e9
        if resident is not None:
            memory.append((at, float(resident)))
        if user is None or system is None:
            continue
        # The kernel counts in ticks of 10 ms: over less than some of them a rate says nothing.
        if last is None or at - last[0] >= 0.05:
            if last is not None:
                cores.append(((at + last[0]) / 2, max(0.0, user + system - last[1]) / (at - last[0])))
            last = (at, user + system)
    return cores, memory, max(memory[-1][0] if memory else 0.0, 1e-9)


def _top(points: Iterable[tuple[float, float]]) -> float:
    return max((value for _, value in points), default=0.0)
