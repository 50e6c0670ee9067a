"""Spans, marks and gauges, said by this process: nesting, threads, tasks, errors."""

import asyncio
import contextvars
import json
import threading

import pytest

import barograph
from conftest import burn, by_name, only


def test_with_no_recorder_nothing_is_said_and_nothing_changes():
    assert not barograph.is_on()
    with barograph.span("load", file="a") as span:
        assert span.id is None
        assert barograph.current_span() is None
    with pytest.raises(ValueError, match="mine"), barograph.span("fails"):
        raise ValueError("mine")
    assert barograph.mark("here", what=object()) is None
    assert barograph.gauge("loss", "no number") is None
    assert barograph.flush()


def test_spans_nest_and_recursion_is_not_confused(recorded):
    def fall(depth):
        with barograph.span("fall", depth=depth) as span:
            assert barograph.current_span() == span.id
            if depth < 20:
                fall(depth + 1)
            assert barograph.current_span() == span.id

    with recorded() as told:
        fall(0)
        fall(18)
        assert barograph.current_span() is None
    spans = list(told().spans("fall"))
    assert len(spans) == 24 and len({span["span"] for span in spans}) == 24
    assert {span["status"] for span in spans} == {"ok"}
    assert [span["depth"] for span in spans] == [*range(21), 0, 1, 2]
    assert [json.loads(span["attributes"])["depth"] for span in spans] == [*range(21), 18, 19, 20]
    first, second = spans[:21], spans[21:]
    for falls in (first, second):
        assert [span["parent"] for span in falls] == [None, *(span["span"] for span in falls[:-1])]


def test_one_span_may_be_entered_within_itself(recorded):
    with recorded() as told:
        span = barograph.span("again")
        with span as outer:
            first = outer.id
            with span as inner:
                assert inner.id != first
            assert span.id == first
        assert span.id is None
    outer, inner = told().spans("again")
    assert (outer["span"], outer["parent"], inner["parent"]) == (first, None, first)


def test_an_exception_ends_a_span_as_an_error_and_goes_on(recorded):
    error = FileNotFoundError("no 'file'\nhere")
    with recorded() as told:
        with pytest.raises(FileNotFoundError) as raised, barograph.span("outer"):
            with barograph.span("inner"):
                raise error
        assert raised.value is error
        with pytest.raises(SystemExit), barograph.span("leaves"):
            raise SystemExit(0)
        with pytest.raises(SystemExit), barograph.span("fails"):
            raise SystemExit(3)
        with pytest.raises(KeyboardInterrupt), barograph.span("interrupted"):
            raise KeyboardInterrupt
        with barograph.span("well"):
            pass
    spans = {name: only(rows) for name, rows in by_name(told().spans()).items()}
    assert {name: (span["status"], span["detail"]) for name, span in spans.items()} == {
        "outer": ("error", "FileNotFoundError: no 'file'\nhere"),
        "inner": ("error", "FileNotFoundError: no 'file'\nhere"),
        "leaves": ("ok", None),
        "fails": ("error", "SystemExit: 3"),
        "interrupted": ("error", "KeyboardInterrupt"),
        "well": ("ok", None),
    }


def test_an_exception_that_cannot_be_told_is_raised_all_the_same(recorded):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("I say nothing")

    with recorded() as told:
        with pytest.raises(Mute), barograph.span("mute"):
            raise Mute
    assert only(told().spans())["detail"] == "Mute: <Mute>"


def test_threads_are_told_apart(recorded):
    ready = threading.Barrier(8)

    def work(number):
        ready.wait()
        for turn in range(25):
            with barograph.span(f"outer {number}", turn=turn):
                with barograph.span(f"inner {number}"):
                    pass

    with recorded() as told:
        with barograph.span("main"):
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    spans = list(told().spans())
    assert len(spans) == 1 + 8 * 25 * 2
    at = {span["span"]: span for span in spans}
    for number in range(8):
        inner = [span for span in spans if span["name"] == f"inner {number}"]
        assert len(inner) == 25
        for span in inner:
            parent = at[span["parent"]]
            assert (parent["name"], parent["thread"]) == (f"outer {number}", span["thread"])
            assert parent["parent"] is None, "a new thread begins outside of all spans"


def test_a_thread_has_the_cpu_time_that_it_used_itself(recorded):
    def idle(stop):
        with barograph.span("idle"):
            stop.wait()

    def busy():
        with barograph.span("busy"):
            burn(0.3)

    with recorded() as told:
        stop = threading.Event()
        idler, worker = threading.Thread(target=idle, args=(stop,)), threading.Thread(target=busy)
        idler.start()
        worker.start()
        worker.join()
        stop.set()
        idler.join()
    spans = {name: only(rows) for name, rows in by_name(told().spans()).items()}
    assert spans["busy"]["thread_cpu_seconds"] >= 0.3
    assert spans["idle"]["thread_cpu_seconds"] < 0.1
    assert spans["idle"]["cpu_seconds"] >= 0.3 and spans["idle"]["cpu_how"] == "exact"


def test_a_context_that_is_given_to_a_thread_brings_its_span(recorded):
    def work():
        with barograph.span("child"):
            pass

    with recorded() as told:
        with barograph.span("parent") as parent:
            context = contextvars.copy_context()
            thread = threading.Thread(target=lambda: context.run(work))
            thread.start()
            thread.join()
            parent = parent.id
    assert only(told().spans("child"))["parent"] == parent


def test_tasks_are_told_apart(recorded):
    async def step(name, turns):
        with barograph.span(name):
            for turn in range(turns):
                with barograph.span(f"{name} inner", turn=turn):
                    await asyncio.sleep(0)

    async def main():
        with barograph.span("all"):
            await asyncio.gather(*(step(f"task {number}", 10) for number in range(10)))

    with recorded() as told:
        asyncio.run(main())
    spans = by_name(told().spans())
    whole = only(spans["all"])
    for number in range(10):
        outer = only(spans[f"task {number}"])
        assert outer["parent"] == whole["span"]
        assert [span["parent"] for span in spans[f"task {number} inner"]] == [outer["span"]] * 10
        assert {span["depth"] for span in spans[f"task {number} inner"]} == {2}


NAMES = {
    "quotes": "a \"b\" 'c' \\d",
    "newlines": "one\ntwo\r\nthree\ttab",
    "nothing": "",
    "NUL": "before\0after",
    "emoji": "épochs 🔥👩‍🚀",
    "control": "\x1b[31mred\x07",
    "comma": "a,b;c|d",
    "separators": "\u2028\u2029\ufeff",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_any_name_comes_back(recorded, name):
    with recorded() as told:
        barograph.mark(name, **{"key " + name: name})
        barograph.gauge(name, 1.5)
        with barograph.span(name, value=name):
            pass
    marks = [event for event in told().events() if event["by"] == "program"]
    assert only(marks)["name"] == name
    assert json.loads(only(marks)["attributes"]) == {"key " + name: name}
    assert told()["gauges"]["name"] == [name]
    span = only(told().spans())
    assert (span["name"], json.loads(span["attributes"]), span["status"]) == (name, {"value": name}, "ok")


def test_what_is_too_long_is_cut_and_what_is_no_text_is_made_one(recorded):
    class Mute:
        def __str__(self):
            raise RuntimeError("I say nothing")

    class Changes:
        def __init__(self, owner):
            self.owner = owner

        def __str__(self):
            self.owner["more"] = self
            return "changes"

    attributes = {}
    attributes["changes"] = Changes(attributes)
    with recorded() as told:
        barograph.mark("🔥" * 250_000)
        barograph.mark("\ud800 alone")
        barograph.mark(7, big=10**30, small=-5, share=0.25, no=None, yes=True, nan=float("nan"), mute=Mute(), it=b"\xff")
        barograph.mark(Mute(), **attributes)
        barograph.mark("much", **{f"key {number}": "x" * 1000 for number in range(100)})
    marks = [event for event in told().events() if event["by"] == "program"]
    assert marks[0]["name"] == "🔥" * 1023 + "…"
    assert marks[1]["name"].endswith(" alone")
    assert marks[2]["name"] == "7"
    assert json.loads(marks[2]["attributes"]) == {
        "big": str(10**30), "small": -5, "share": 0.25, "no": "None", "yes": True, "nan": None, "mute": "<Mute>", "it": "b'\\xff'",
    }  # fmt: skip
    assert (marks[3]["name"], json.loads(marks[3]["attributes"])) == ("<Mute>", {"changes": "changes"})
    assert (marks[4]["name"], marks[4]["attributes"]) == ("much", None), "more attributes than there may be are left out"


def test_numbers_of_numpy_are_numbers(recorded):
    numpy = pytest.importorskip("numpy")
    with recorded() as told:
        barograph.gauge("loss", numpy.float32(0.5))
        barograph.gauge("steps", numpy.int64(7))
        barograph.gauge("flag", True)
        barograph.gauge("none", None)
        barograph.gauge("text", "many")
        barograph.mark("epoch", number=numpy.int32(3), loss=numpy.float32(0.5), name=numpy.str_("a"))
    gauges = told()["gauges"]
    assert list(zip(gauges["name"], gauges["value"])) == [("loss", 0.5), ("steps", 7.0), ("flag", 1.0)]
    assert json.loads(only(told().events()[1:-1])["attributes"]) == {"number": 3, "loss": 0.5, "name": "a"}


def test_marks_in_a_loop_are_taken_or_counted(recorded):
    many = 1_000_000
    with recorded(interval=0.5) as told:
        mark = barograph.mark
        for _ in range(many):
            mark("again")
    taken = sum(name == "again" for name in told().events()["name"])
    dropped = sum(notice["count"] for notice in told().facts["notices"] if notice["name"] == "beacon_dropped")
    assert taken > 1000
    assert taken + dropped == many, f"{taken} taken, {dropped} dropped"
    if dropped:
        assert any(notice["name"] == "beacon_dropped" for notice in told().summary()["notices"]), "the report tells"
