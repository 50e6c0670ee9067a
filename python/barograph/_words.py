"""What a program says of itself. Where nobody listens, all that is done is to see that."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from . import _native

_is_on, _Span, _mark = _native.is_on, _native.Span, _native.mark


class Span(Protocol):
    """A named block of code, for ``with``. It may be entered again, within itself too."""

    @property
    def id(self) -> str | None:
        """Its id in the recording, while it is open; ``None`` where nobody records."""

    def __enter__(self) -> Span: ...
    def __exit__(self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None, /) -> None: ...


class _Nothing:
    """A span of which nobody hears."""

    __slots__ = ()

    id: str | None = None

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: object, exception: object, traceback: object, /) -> None:
        pass


_NOTHING = _Nothing()


def span(name: object, /, **attributes: object) -> Span:
    """A named block of code: ``with barograph.span("load", file=path):``. The recording has what it cost.

    Attributes are texts, numbers or booleans; of anything else it is the ``str()``. Nothing that is said here raises.
    """
    return _Span(name, attributes) if _is_on() else _NOTHING


def mark(name: object, /, **attributes: object) -> None:
    """Says that this moment has this name. Attributes are as those of :func:`span`."""
    if _is_on():
        _mark(name, None, attributes)
