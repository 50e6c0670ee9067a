#!/usr/bin/env python3
"""What it costs to know which line of a Python program runs: `barograph run --lines` beside py-spy, scalene and memory_profiler on the same job.

Rounds are interleaved, so that what else the machine does meets all alike. A row has the job's own wall and CPU time against those of the job alone
(medians), and the CPU time of the tool beside the job as a share of a core.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
JOB = HERE / "lines_job.py"


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def once(command, environment=None):
    """The job's own seconds, and the CPU seconds of whatever ran beside it; None if the tool failed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seconds.json"
        before = children_cpu()
        words = [str(word).replace("OUT", str(out)) for word in command]
        ran = subprocess.run(words, cwd=folder, capture_output=True, env={**os.environ, **(environment or {})})
        used = children_cpu() - before
        if not out.exists():
            return print(f"{words[:4]}: {ran.returncode}: {(ran.stdout + ran.stderr)[-300:]!r}", file=sys.stderr)
        job = json.loads(out.read_text())
        return {"wall": job["wall"], "cpu": job["cpu"], "beside": (used - job["whole_cpu"]) / job["wall"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--barograph", default=str(HERE.parent / "target/release/barograph"))
    parser.add_argument("--tools", default=str(HERE.parent / ".venv/bin"), help="folder of python, py-spy and scalene; memory_profiler is a module of that python")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", type=int, default=150_000)
    args = parser.parse_args()
    tools, barograph = Path(args.tools).absolute(), Path(args.barograph).absolute()
    python = tools / "python"
    job = [python, JOB, args.work, "OUT"]
    rows = {
        "alone": job,
        "barograph run": [barograph, "run", "-q", "-o", "run", "--", *job],
        "barograph run --lines": [barograph, "run", "-q", "-o", "run", "--lines", "--", *job],
        "barograph run --lines=1000": [barograph, "run", "-q", "-o", "run", "--lines=1000", "--", *job],
        "py-spy record": [tools / "py-spy", "record", "-r", 100, "-f", "raw", "-o", "out", "--", *job],
        "py-spy record --nonblocking": [tools / "py-spy", "record", "--nonblocking", "-r", 100, "-f", "raw", "-o", "out", "--", *job],
        "scalene run": [tools / "scalene", "run", "--cpu-only", JOB, "---", args.work, "OUT"],
        "scalene run, memory too": [tools / "scalene", "run", JOB, "---", args.work, "OUT"],
        # It looks at every line: a twentieth of the work is enough.
        "memory_profiler": [python, "-m", "memory_profiler", JOB, args.work // 20, "OUT"],
    }
    rows = {name: command for name, command in rows.items() if shutil.which(str(command[0]))}
    seen = {name: [] for name in rows}
    for _ in range(args.rounds):
        for name, command in rows.items():
            result = once(command)
            if result:
                scale = 20 if name == "memory_profiler" else 1
                seen[name].append({"wall": result["wall"] * scale, "cpu": result["cpu"] * scale, "beside": result["beside"]})
    middle = lambda name, what: statistics.median(result[what] for result in seen[name])
    print(f"{'':30}{'wall':>9}{'':>9}{'CPU':>9}{'':>9}{'beside the job':>20}")
    for name in (name for name in rows if seen[name]):
        wall, cpu = middle(name, "wall"), middle(name, "cpu")
        slower = [f"{(now / middle('alone', what) - 1) * 100:+.1f} %" for now, what in ((wall, "wall"), (cpu, "cpu"))]
        beside = "" if name == "alone" else f"{middle(name, 'beside') * 100:.1f} % of a core"
        print(f"{name:30}{wall:7.2f} s{slower[0]:>9}{cpu:7.2f} s{slower[1]:>9}{beside:>20}")


main()
