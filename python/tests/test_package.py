"""What is installed: the package, the program, and what pip is told where there is no wheel."""

import importlib.metadata
import subprocess
import sys

import barograph
from barograph._program import program
from conftest import ROOT


def test_the_wheel_has_the_program_of_the_same_version():
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == importlib.metadata.version("barograph") == barograph.__version__


def test_the_wheel_says_for_whom_it_is():
    tags = [line.removeprefix("Tag: ") for line in (importlib.metadata.distribution("barograph").read_text("WHEEL") or "").splitlines() if line.startswith("Tag: ")]
    assert len(tags) == 1 and tags[0].startswith("cp39-abi3-"), tags
    assert importlib.metadata.metadata("barograph")["Requires-Python"] == ">=3.9"


def test_a_source_distribution_is_refused_in_a_sentence(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'python')!r}); import backend; backend.build_sdist({str(tmp_path)!r})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1 and "has no source distribution" in ended.stderr, ended
    assert not list(tmp_path.iterdir())


def test_a_free_threaded_python_is_refused_in_a_sentence():
    code = "import sys; sys.abiflags = 't'; import barograph"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1 and "ImportError: barograph has no build for free-threaded" in ended.stderr, ended
