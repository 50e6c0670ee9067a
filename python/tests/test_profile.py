"""`@profile` on every kind of function: what it returns, raises and looks like is what it was, and each call is a span."""

import asyncio
import functools
import gc
import inspect

import pytest

import barograph
from conftest import burn, by_name, only

MODULE = __name__


class Worker:
    """A class whose methods are profiled."""

    @barograph.profile
    def method(self, a, *, b=2):
        """Adds."""
        return a + b

    @staticmethod
    @barograph.profile
    def inside(a):
        return a

    @barograph.profile
    @staticmethod
    def outside(a):
        return a

    @classmethod
    @barograph.profile
    def of_class(cls, a):
        return cls, a

    @barograph.profile
    @classmethod
    def of_class_outside(cls, a):
        return cls, a


@barograph.profile("count it", unit="turns")
def count(until):
    """Counts."""
    for number in range(until):
        with barograph.span("within"):
            burn(0.02)
        said = yield number
        if said is not None:
            yield ("heard", said)
    return "counted"


@barograph.profile
async def double(number):
    """Doubles."""
    with barograph.span("within"):
        await asyncio.sleep(0.01)
    burn(0.02)
    return 2 * number


@barograph.profile
async def stream(until):
    """Streams."""
    for number in range(until):
        with barograph.span("within"):
            await asyncio.sleep(0)
        said = yield number
        if said is not None:
            yield ("heard", said)


def plain(number: int = 3) -> int:
    """Is plain."""
    return number


def test_metadata_is_kept():
    for function, is_kind in ((count, inspect.isgeneratorfunction), (double, inspect.iscoroutinefunction), (stream, inspect.isasyncgenfunction)):
        assert is_kind(function)
        assert function.__name__ == function.__wrapped__.__name__
        assert function.__doc__ == function.__wrapped__.__doc__ is not None
        assert function.__module__ == MODULE
    profiled = barograph.profile(plain)
    assert inspect.signature(profiled) == inspect.signature(plain)
    assert profiled.__annotations__ == plain.__annotations__
    assert Worker.method.__qualname__ == "Worker.method"
    with pytest.raises(TypeError, match="a function"):
        barograph.profile(3)


@pytest.mark.parametrize("records", [False, True])
def test_calls_return_what_they_did(recorded, tmp_path, records):
    recorder = barograph.record(tmp_path / "run", interval=0.05)
    if records:
        recorder.start()
    assert Worker().method(1) == 3
    assert Worker().method(a=1, b=5) == 6
    assert Worker.inside(1) == Worker.outside(1) == Worker().outside(1) == 1
    assert Worker.of_class(2) == Worker().of_class_outside(2) == (Worker, 2)
    assert list(count(3)) == [0, 1, 2]
    assert asyncio.run(double(4)) == 8
    assert barograph.profile("nine")(functools.partial(plain, number=9))() == 9

    def whole():
        return (yield from count(1))

    generator = whole()
    assert next(generator) == 0
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "counted"
    generator = count(2)
    assert next(generator) == 0
    assert generator.send("you") == ("heard", "you")
    assert next(generator) == 1
    generator.close()

    async def consume():
        assert [number async for number in stream(3)] == [0, 1, 2]
        numbers = stream(1)
        assert await numbers.asend(None) == 0
        assert await numbers.asend("you") == ("heard", "you")
        await numbers.aclose()

    asyncio.run(consume())
    recorder.stop()
    if records:
        names = by_name(recorder.recording.spans())
        assert {name: len(rows) for name, rows in names.items() if name != "within"} == {
            f"{MODULE}.Worker.method": 2,
            f"{MODULE}.Worker.inside": 1,
            f"{MODULE}.Worker.outside": 2,
            f"{MODULE}.Worker.of_class": 1,
            f"{MODULE}.Worker.of_class_outside": 1,
            "count it": 3,
            f"{MODULE}.double": 1,
            f"{MODULE}.stream": 2,
            "nine": 1,
        }
        assert {span["status"] for span in recorder.recording.spans()} == {"ok"}
        assert only({span["attributes"] for span in names["count it"]}) == '{"unit":"turns"}'


class Mine(Exception):
    pass


@barograph.profile
def fails():
    raise Mine("function")


@barograph.profile
def fails_later():
    try:
        yield 1
    except KeyError:
        yield "caught"
    raise Mine("generator")


@barograph.profile
async def fails_async():
    await asyncio.sleep(0)
    raise Mine("coroutine")


@barograph.profile
async def fails_stream():
    yield 1
    raise Mine("stream")


def test_exceptions_are_recorded_and_raised_again(recorded):
    async def consume():
        async for _ in fails_stream():
            pass

    with recorded() as told:
        with pytest.raises(Mine, match="function"):
            fails()
        with pytest.raises(Mine, match="generator"):
            list(fails_later())
        generator = fails_later()
        next(generator)
        assert generator.throw(KeyError("in")) == "caught", "what is thrown in arrives"
        with pytest.raises(Mine):
            next(generator)
        with pytest.raises(Mine, match="coroutine"):
            asyncio.run(fails_async())
        with pytest.raises(Mine, match="stream"):
            asyncio.run(consume())
    said = [(span["name"].rpartition(".")[2], span["status"], span["detail"]) for span in told().spans()]
    assert said == [
        ("fails", "error", "Mine: function"),
        ("fails_later", "error", "Mine: generator"),
        ("fails_later", "error", "Mine: generator"),
        ("fails_async", "error", "Mine: coroutine"),
        ("fails_stream", "error", "Mine: stream"),
    ]


def test_a_cancelled_coroutine_says_so(recorded):
    @barograph.profile("waits")
    async def waits():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(waits())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with recorded() as told:
        asyncio.run(main())
    span = only(told().spans("waits"))
    assert (span["status"], span["detail"]) == ("error", "CancelledError")


def test_a_generator_is_not_charged_for_who_runs_between_its_steps(recorded):
    with recorded() as told:
        with barograph.span("consumer") as consumer:
            for _ in count(3):
                burn(0.2)
                assert barograph.current_span() == consumer.id, "between its steps its span is not ours"
                with barograph.span("between"):
                    pass
            consumer = consumer.id
    spans = by_name(told().spans())
    span = only(spans["count it"])
    assert 0.05 < span["thread_cpu_seconds"] < 0.4 < span["wall_seconds"]
    assert {inner["parent"] for inner in spans["within"]} == {span["span"]}
    assert {inner["parent"] for inner in spans["between"]} == {consumer} == {span["parent"]}


def test_a_coroutine_is_not_charged_for_other_tasks(recorded):
    async def other():
        for _ in range(10):
            burn(0.05)
            await asyncio.sleep(0)

    @barograph.profile("waits")
    async def waits():
        for _ in range(10):
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(waits(), other())

    with recorded() as told:
        asyncio.run(main())
    span = only(told().spans("waits"))
    assert span["thread_cpu_seconds"] < 0.2 < span["wall_seconds"]


def test_a_generator_that_is_forgotten_ends(recorded):
    with recorded() as told:
        generator = count(3)
        next(generator)
        del generator
        gc.collect()
    span = only(told().spans("count it"))
    assert span["status"] == "ok" and span["end_time"] is not None


def test_calls_with_wrong_arguments_fail_as_they_did(recorded):
    with recorded() as told:
        with pytest.raises(TypeError, match="unexpected keyword"):
            Worker().method(1, c=3)
    assert only(told().spans())["status"] == "error"
