"""``@profile``: a span for each call of a function, whatever kind of function it is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, TypeVar, overload

from . import _native

F = TypeVar("F", bound=Callable[..., Any])


@overload
def profile(function: F, /) -> F: ...
@overload
def profile(name: str | None = None, /, **attributes: object) -> Callable[[F], F]: ...
def profile(function: Any = None, /, **attributes: object) -> Any:
    """Makes a span of each call: ``@profile``, or ``@profile("name", attribute=value)``.

    It takes functions, methods, coroutines, generators and asynchronous generators, and below or above ``@staticmethod`` and ``@classmethod``. The span is
    called as the function is, with its module. An exception ends it as an error, and goes on as it was. Spans of generators and coroutines begin with the
    first step and end with the last; CPU time of their thread is that of their own steps, and not of who ran between them.
    """
    if function is None or isinstance(function, str):
        return lambda decorated: _profiled(decorated, function, attributes)
    return _profiled(function, None, attributes)


def _profiled(function: Any, name: str | None, attributes: dict[str, object]) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_profiled(function.__func__, name, attributes))
    if not callable(function):
        raise TypeError(f"what is profiled is a function, and not {function!r}")
    name = name or _name(function)
    if inspect.isasyncgenfunction(function):
        return _asynchronous_generator(function, name, attributes)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, name, attributes)
    if inspect.isgeneratorfunction(function):
        return _generator(function, name, attributes)
    return _function(function, name, attributes)


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or type(function).__qualname__
    module = getattr(function, "__module__", None)
    name = name.replace("<locals>.", "")
    return name if module in (None, "__main__") else f"{module}.{name}"


def _function(function: Callable[..., Any], name: str, attributes: dict[str, object]) -> Callable[..., Any]:
    is_on, span = _native.is_on, _native.Span

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not is_on():
            return function(*args, **kwargs)
        with span(name, attributes):
            return function(*args, **kwargs)

    return wrapper


def _generator(function: Callable[..., Generator[Any, Any, Any]], name: str, attributes: dict[str, object]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        if not _native.is_on():
            return (yield from function(*args, **kwargs))
        return (yield from _run(function(*args, **kwargs), _native.Steps(name, attributes), is_whole=True))

    return wrapper


def _coroutine(function: Callable[..., Any], name: str, attributes: dict[str, object]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not _native.is_on():
            return await function(*args, **kwargs)
        return await _Watched(function(*args, **kwargs), _native.Steps(name, attributes), is_whole=True)

    return wrapper


def _asynchronous_generator(function: Callable[..., AsyncGenerator[Any, Any]], name: str, attributes: dict[str, object]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        steps = _native.Steps(name, attributes) if _native.is_on() else None
        step: Awaitable[Any] = inner.asend(None)
        try:
            while True:
                try:
                    item = await (step if steps is None else _Watched(step, steps, is_whole=False))
                except StopAsyncIteration:
                    break
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:
                    step = inner.athrow(error)
        except BaseException as error:
            if steps is not None:
                steps.end(error)
            raise
        if steps is not None:
            steps.end(None)

    return wrapper


class _Watched:
    """Something to wait for, of which each step is counted."""

    __slots__ = ("_inner", "_is_whole", "_steps")

    def __init__(self, inner: Any, steps: _native.Steps, is_whole: bool) -> None:
        self._inner = inner
        self._steps = steps
        self._is_whole = is_whole

    def __await__(self) -> Generator[Any, Any, Any]:
        return _run(self._inner, self._steps, self._is_whole)


def _run(inner: Any, steps: _native.Steps, is_whole: bool) -> Generator[Any, Any, Any]:
    """Does what ``yield from`` does, and tells of each step. If it is the whole of what the span is about, the span ends with it."""
    step, argument = inner.send, None
    try:
        while True:
            steps.resume()
            try:
                item = step(argument)
            except StopIteration as stop:
                result = stop.value
                break
            finally:
                steps.pause()
            try:
                step, argument = inner.send, (yield item)
            except GeneratorExit:
                steps.resume()
                try:
                    inner.close()
                finally:
                    steps.pause()
                raise
            except BaseException as error:
                step, argument = inner.throw, error
    except BaseException as error:
        if is_whole:
            steps.end(error)
        raise
    if is_whole:
        steps.end(None)
    return result
