"""The types of the package, as mypy and pyright see them in its examples and in itself, and its guide, run as it stands."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from conftest import ROOT

EXAMPLES = ROOT / "python" / "examples"
GUIDE = ROOT / "docs" / "python.md"


def test_mypy_finds_nothing(tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, "--ignore-missing-imports", "-p", "barograph", EXAMPLES]
    examples = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, "--ignore-missing-imports", EXAMPLES]
    package = [*command[:-1]]
    for line in (examples, package):
        ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_pyright_finds_nothing(tmp_path):
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, EXAMPLES]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = json.loads(ended.stdout)
    assert found["summary"]["filesAnalyzed"] >= len(list(EXAMPLES.glob("*.py"))) > 0
    assert found["generalDiagnostics"] == []


def test_pyright_knows_all_public_types(tmp_path):
    ended = subprocess.run([sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "--verifytypes", "barograph", "--ignoreexternal"], cwd=tmp_path, capture_output=True, text=True)
    unknown = [symbol["name"] for symbol in json.loads(ended.stdout)["typeCompleteness"]["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    assert unknown == []


def test_everything_public_says_what_it_is():
    import barograph

    for name in barograph.__all__:
        said = getattr(barograph, name)
        assert said.__doc__ and said.__doc__.strip().endswith((".", "::")), name


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_run(tmp_path, example):
    ended = subprocess.run([sys.executable, example], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout, ended.stderr


def blocks():
    text = GUIDE.read_text() if GUIDE.exists() else ""
    return [block for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if language == "python"]


def test_the_guide_runs(tmp_path):
    """Its blocks are one program, from the first to the last."""
    assert len(blocks()) >= 5
    pathlib.Path(tmp_path, "guide.py").write_text("\n".join(blocks()))
    ended = subprocess.run([sys.executable, "guide.py"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
