"""Builds the package for pip, from a checkout: the wheel that ./build makes, with the program in it. There is no source distribution."""

import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """What PEP 517 asks for: makes the wheel, and tells its name."""
    profile = os.environ.get("BAROGRAPH_PROFILE", "release")
    built = subprocess.run([HERE / "build", "--profile", profile], check=True, stdout=subprocess.PIPE, text=True).stdout
    wheel = pathlib.Path(built.strip())
    shutil.copy2(wheel, wheel_directory)
    return wheel.name


def build_sdist(sdist_directory, config_settings=None):
    """Refuses: the wheel has the program, which is made of the whole repository and not of this folder."""
    raise SystemExit("barograph has no source distribution: its wheel is built from a checkout, by `python/build` or `pip install ./python`")
