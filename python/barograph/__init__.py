"""Barograph records what a job does to its machine, and shows it beside the code that did it.

Say what the program is doing; it costs some tens of nanoseconds where nobody records, and a few microseconds where somebody does::

    import barograph

    with barograph.span("load", file="a.csv"):
        ...
    barograph.mark("epoch 3")
    barograph.gauge("loss", 0.31)

Record, from outside (``barograph run -- python train.py``) or from within::

    with barograph.record("run.baro", interval=0.1):
        train()

Read what was recorded, as Arrow that pyarrow, polars, pandas and DuckDB take without a copy::

    run = barograph.open("run.baro")
    polars.DataFrame(run.spans())
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if "t" in sys.abiflags:
    raise ImportError("barograph has no build for free-threaded Pythons: `barograph run -- python3t …` records them from outside")

from ._native import BarographError as Error
from ._native import __version__, current_span, flush, gauge, is_on
from ._logging import LogHandler
from ._look import Process, snapshot, tree
from ._profile import profile
from ._program import Ran, run
from ._record import Recorder, attach, record
from ._recording import Recording, open
from ._table import Field, Table
from ._words import Span, mark, span

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "Error",
    "Field",
    "LogHandler",
    "Process",
    "Ran",
    "Recorder",
    "Recording",
    "Span",
    "Table",
    "__version__",
    "attach",
    "current_span",
    "flush",
    "gauge",
    "is_on",
    "mark",
    "open",
    "profile",
    "record",
    "run",
    "snapshot",
    "span",
    "tree",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """What ``%load_ext barograph`` calls: adds ``%barograph`` and ``%%barograph``."""
    from ._ipython import load

    load(shell)
