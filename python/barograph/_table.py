"""Rows of a table: Arrow for who has a library that reads it, plain values for who has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, overload

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from . import _native

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

#: Rows that are shown of a table.
_SHOWN = 10


class Field(NamedTuple):
    """What is known of a column. Texts are empty where nothing is said."""

    name: str
    #: Its address, such as ``memory.available_bytes``.
    id: str
    #: ``counter``, ``gauge``, ``id`` or ``text``.
    kind: str
    unit: str
    #: The unit's code in the Unified Code for Units of Measure.
    ucum: str
    help: str
    #: Where the kernel says it.
    origin: str


def moment(nanos: int) -> datetime:
    """Nanoseconds since 1970 as a time, which has microseconds."""
    return _EPOCH + timedelta(microseconds=nanos // 1000)


class Table:
    """Rows of one table, oldest first; its first columns are ``time`` (UTC) and ``monotonic_nanos``.

    Whatever reads Arrow's PyCapsule interface takes it as it is, without a copy: ``pyarrow.table(table)``, ``polars.DataFrame(table)``,
    ``pandas.DataFrame.from_arrow(table)``, ``duckdb.sql("SELECT * FROM table")``. Without any of them, ``table["column"]`` is a list,
    ``table[0]`` a dictionary, ``table[-10:]`` a smaller table, and iteration gives dictionaries. What could not be read is ``None``.
    """

    __slots__ = ("_columns", "_rows", "name")

    def __init__(self, rows: _native.Rows, name: str) -> None:
        self._rows = rows
        self._columns: dict[str, None] = dict.fromkeys(rows.names())
        #: What the table is called.
        self.name: str = name

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    @property
    def fields(self) -> list[Field]:
        """What is known of each column: kind, unit, help."""
        said = zip(self._columns, self._rows.metadata())
        return [Field(name, *(of.get(key, "") for key in Field._fields[1:])) for name, of in said]

    def __len__(self) -> int:
        return len(self._rows)

    def __arrow_c_schema__(self) -> object:
        return self._rows.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._rows.__arrow_c_stream__(requested_schema)

    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> Table: ...
    def __getitem__(self, key: str | int | slice) -> list[Any] | dict[str, Any] | Table:
        if isinstance(key, str):
            if key not in self._columns:
                raise KeyError(f"table {self.name!r} has no column {key!r}; it has {', '.join(self._columns)}")
            values = self._rows.values(key)
            if self._rows.has_times(key):
                return [None if nanos is None else moment(nanos) for nanos in values]
            return values
        if isinstance(key, slice):
            begin, end, step = key.indices(len(self))
            if step != 1:
                raise ValueError("a table is cut in pieces of successive rows: the step is 1")
            return Table(self._rows.slice(begin, max(0, end - begin)), self.name)
        row = key + len(self) if key < 0 else key
        if not 0 <= row < len(self):
            raise IndexError(f"table {self.name!r} has {len(self)} rows, and no row {key}")
        one = self[row : row + 1]
        return {name: one[name][0] for name in self._columns}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = self.columns
        for values in zip(*(self[name] for name in names)):
            yield dict(zip(names, values))

    def to_pyarrow(self) -> pyarrow.Table:
        """As a table of pyarrow; nothing is copied."""
        import pyarrow

        return pyarrow.table(self)

    def to_polars(self) -> polars.DataFrame:
        """As a data frame of polars; nothing is copied."""
        import polars

        return polars.DataFrame(self)

    def to_pandas(self) -> pandas.DataFrame:
        """As a data frame of pandas 3; an older one needs pyarrow."""
        import pandas

        if hasattr(pandas.DataFrame, "from_arrow"):
            return pandas.DataFrame.from_arrow(self)
        return self.to_pyarrow().to_pandas()

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """The first rows as texts, without columns that say nothing."""
        first: Mapping[str, list[Any]] = {name: self[:_SHOWN][name] for name in self._columns if name != "monotonic_nanos"}
        shown = {name: values for name, values in first.items() if not values or any(value is not None for value in values)}
        return list(shown), [[_text(value) for value in row] for row in zip(*shown.values())]

    def __repr__(self) -> str:
        names, rows = self._shown()
        widths = [max(map(len, texts)) for texts in zip(names, *rows)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(texts, widths)).rstrip() for texts in [names, *rows]]
        if len(self) > _SHOWN:
            lines.append("…")
        return "\n".join([f"<barograph.Table {self.name!r}: {len(self)} rows, {len(self._columns)} columns>", *lines])

    def _repr_html_(self) -> str:
        import html

        names, rows = self._shown()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>" for row in rows)
        said = f"{html.escape(self.name)}: {len(self)} rows, {len(self._columns)} columns"
        return f"<table><caption>{said}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%H:%M:%S.%f")[:-3]
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    # Nothing that a process calls itself moves the cursor.
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= 40 else text[:39] + "…"
