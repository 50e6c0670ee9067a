"""The plugin of pytest and the magic of IPython, in a real pytest and a real IPython."""

import html.parser
import json
import subprocess
import sys
import xml.etree.ElementTree

import pytest

import barograph
from conftest import DEADLINE, by_name, only

TESTS = """
import subprocess, sys, time
import pytest

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass

@pytest.fixture
def slow():
    burn(0.2)
    yield 1
    burn(0.1)

def test_busy(slow): burn(0.2)
def test_child(): subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.4: pass"], check=True)
def test_idle(): pass
def test_fails(): assert 1 == 2, "one is not two"
@pytest.mark.parametrize("name", ['a"b', "c\\n", "<&>"])
def test_names(name): pass
"""


def pytest_of(folder, *options):
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml", "out.xml", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE)


def test_nothing_happens_without_the_option(tmp_path):
    ended = pytest_of(tmp_path)
    assert "1 failed, 6 passed" in ended.stdout
    assert "barograph" not in ended.stdout.replace("plugins: barograph", "")
    assert "barograph" not in (tmp_path / "out.xml").read_text()
    assert not list(tmp_path.glob("*.baro"))


def test_a_session_is_recorded_with_a_span_for_each_test(tmp_path):
    ended = pytest_of(tmp_path, "--barograph")
    assert ended.returncode == 1 and "1 failed, 6 passed" in ended.stdout, ended.stdout + ended.stderr
    run = barograph.open(tmp_path / "pytest.baro")
    assert run.state == "ended"
    spans = by_name(run.spans())
    assert set(spans) == {f"test_it.py::test_{name}" for name in ("busy", "child", "idle", "fails", 'names[a"b]', "names[c\\n]", "names[<&>]")}
    busy, child, fails = (only(spans[f"test_it.py::test_{name}"]) for name in ("busy", "child", "fails"))
    assert busy["cpu_seconds"] >= 0.5, "with its fixtures"
    assert child["tree_cpu_seconds"] >= 0.2 > child["cpu_seconds"], "of its child"
    assert (fails["status"], fails["detail"]) == ("error", "AssertionError: one is not two\nassert 1 == 2")
    table = ended.stdout.partition("what tests cost")[2]
    assert "WALL" in table and "test_it.py::test_busy" in table and "test_it.py::test_fails  [error]" in table
    assert table.index("::test_busy") < table.index("::test_idle"), "the dearest first"
    assert f"recorded in {run.path.name}" in table
    cases = {case.get("name"): case for case in xml.etree.ElementTree.parse(tmp_path / "out.xml").iter("testcase")}
    said = {name: {of.get("name"): float(of.get("value")) for of in case.iter("property")} for name, case in cases.items()}
    assert said["test_busy"]["barograph.cpu_seconds"] >= 0.5
    assert said["test_child"]["barograph.cpu_seconds"] >= 0.35
    assert all({"barograph.wall_seconds", "barograph.read_bytes"} <= set(of) for of in said.values())
    first = run.id
    again = pytest_of(tmp_path, "--barograph", "-k", "idle")
    assert again.returncode == 0 and run.id != first, "the session before is replaced"
    assert len(list(tmp_path.glob("*.baro"))) == 1


def test_a_path_may_be_given(tmp_path):
    pytest_of(tmp_path, "--barograph=mine", "--barograph-interval=0.5")
    assert barograph.open(tmp_path / "mine.baro").facts["interval_seconds"] == 0.5
    ended = pytest_of(tmp_path, "--barograph=test_it.py/run")
    assert ended.returncode == 4 and "--barograph: " in ended.stderr


def test_workers_of_xdist_say_which_test_they_run(tmp_path):
    ended = pytest_of(tmp_path, "--barograph", "-n", "2")
    assert ended.returncode == 1 and "1 failed, 6 passed" in ended.stdout, ended.stdout + ended.stderr
    assert "test_it.py::test_busy" in ended.stdout.partition("what tests cost")[2]
    assert len(list(tmp_path.glob("*.baro"))) == 1, "the controller records, and no worker"
    spans = by_name(barograph.open(tmp_path / "pytest.baro").spans())
    assert len(spans) == 7 and all(only(of)["status"] in ("ok", "error") for of in spans.values())
    assert len({only(of)["pid"] for of in spans.values()}) == 2
    assert only(spans["test_it.py::test_busy"])["cpu_seconds"] >= 0.5
    cases = list(xml.etree.ElementTree.parse(tmp_path / "out.xml").iter("testcase"))
    assert len(cases) == 7 and all(case.findall("properties/property[@name='barograph.cpu_seconds']") for case in cases)


@pytest.fixture(scope="module")
def shell():
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "barograph")
    yield shell
    InteractiveShell.clear_instance()


def shown(shell, line, cell):
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        shell.run_cell(f"%%barograph {line}\n{cell}")
    return captured


class Tags(html.parser.HTMLParser):
    """Sees that each tag that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))


CELL = """
import time, barograph
with barograph.span("load <b>"):
    block = bytearray(30 << 20)
    block[::4096] = b"x" * len(block[::4096])
with barograph.span("wait"):
    time.sleep(0.5)
answer = 42
print("said by the cell")
"""


def test_a_cell_has_its_cost_under_it(shell, tmp_path):
    captured = shown(shell, "-i 0.02", CELL)
    assert shell.user_ns["answer"] == 42
    assert "said by the cell" in captured.stdout
    data = only(captured.outputs).data
    text, page = data["text/plain"], data["text/html"]
    assert [line.split("  ")[0].strip() for line in text.splitlines()[1:]] == ["cell", "load <b>", "wait"]
    tags = Tags(page)
    assert "load &lt;b&gt;" in page and "<b>" not in page
    picture = xml.etree.ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    lines = [of for of in picture.iter() if of.tag.endswith("polyline")]
    assert len(lines) == 2 and all(len(of.get("points").split()) >= 3 for of in lines)
    bars = [of for of in picture.iter() if of.tag.endswith("rect")]
    assert len(bars) == 2 and all(0 <= float(of.get("x")) <= 640 for of in bars)
    assert ("table", {}) in tags.seen


def test_an_error_in_a_cell_is_shown_and_counted(shell, tmp_path):
    captured = shown(shell, f"-o {tmp_path / 'kept'}", "1 / 0")
    assert "ZeroDivisionError" in captured.stdout + captured.stderr
    assert "cell (error)" in only(captured.outputs).data["text/plain"]
    run = barograph.open(tmp_path / "kept.baro")
    assert (only(run.spans())["status"], only(run.spans())["detail"]) == ("error", "ZeroDivisionError: division by zero")
    assert json.dumps(str(run.path))[1:-1] in only(captured.outputs).data["text/html"]


def test_a_line_is_recorded_too(shell):
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        shell.run_line_magic("barograph", "number = 6 * 7")
    assert shell.user_ns["number"] == 42
    assert "cell" in only(captured.outputs).data["text/plain"]
    assert not barograph.is_on()


AWAITING = """%%barograph -i 0.05
import asyncio, barograph
@barograph.profile("waits")
async def waits():
    await asyncio.sleep(0.1)
    return asyncio.get_running_loop() is loop
assert await waits()
"""


def test_a_cell_of_a_real_kernel_may_await(tmp_path, monkeypatch):
    """A kernel runs cells in a loop of its own, in which a magic that is called as a function could await nothing."""
    from jupyter_client.manager import start_new_kernel

    monkeypatch.chdir(tmp_path)
    manager, client = start_new_kernel(startup_timeout=DEADLINE, kernel_name="python3")
    try:

        def done(code):
            told = []
            reply = client.execute_interactive(code, timeout=DEADLINE, output_hook=told.append)["content"]
            return reply["status"], [message["content"]["data"] for message in told if message["msg_type"] == "display_data"]

        assert done("%load_ext barograph\nimport asyncio\nloop = asyncio.get_running_loop()") == ("ok", [])
        status, shown = done(AWAITING)
        assert status == "ok"
        assert [line.split("  ")[0].strip() for line in only(shown)["text/plain"].splitlines()[1:]] == ["cell", "waits"]
        assert "<svg" in only(shown)["text/html"]
        _, shown = done("%%barograph\nawait asyncio.sleep(0)\n1 / 0")
        assert "cell (error)" in only(shown)["text/plain"]
        assert done("%%barograph\nawaited = 1")[0] == "ok" and done("assert awaited == 1")[0] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
