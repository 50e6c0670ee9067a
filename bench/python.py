#!/usr/bin/env python3
"""What the Python package costs: a span with nobody listening and with a recorder, and a job recorded from within, beside other recorders.

    python/build --into target/python-bench
    CFLAGS='-Wno-unused-variable -Wno-use-after-free' target/python-bench/bin/python -m pip install -q -r bench/python-requirements.txt
    target/python-bench/bin/python bench/python.py [ROUNDS]

(pymemtrace is compiled here, takes each warning for an error, and has some.)
"""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import timeit

import barograph

# In a function, as memory_profiler takes nothing else.
JOB = """
import time
def job():
    begin, cpu = time.perf_counter(), time.process_time()
    total = 0
    for number in range({turns}):
        total += number % 7
    print(time.perf_counter() - begin, time.process_time() - cpu)
"""

STATEMENTS = {
    "an empty block": ("with nothing: pass", "import contextlib; nothing = contextlib.nullcontext()"),
    "is_on()": ("is_on()", "from barograph import is_on"),
    "mark": ("mark('epoch')", "from barograph import mark"),
    "mark, one attribute": ("mark('epoch', number=3)", "from barograph import mark"),
    "gauge": ("gauge('loss', 0.31)", "from barograph import gauge"),
    "span": ("with span('load'): pass", "from barograph import span"),
    "span, one attribute": ("with span('load', file='a'): pass", "from barograph import span"),
    "a call": ("f()", "def f(): pass"),
    "a call with @profile": ("f()", "import barograph\n@barograph.profile\ndef f(): pass"),
}


def nanoseconds(statement, setup, number):
    """The least of seven runs: what it costs where nobody disturbs."""
    return min(timeit.repeat(statement, setup, number=number, repeat=7)) / number * 1e9


def words():
    off = {name: nanoseconds(*of, 300_000) for name, of in STATEMENTS.items()}
    with tempfile.TemporaryDirectory() as folder, barograph.record(folder + "/run"):
        # Few at once, and then a pause: what is measured is saying it, and not that there is no room for more.
        on = {}
        for name, (statement, setup) in STATEMENTS.items():
            runs = []
            for _ in range(30):
                runs.append(timeit.timeit(statement, setup, number=100) / 100 * 1e9)
                time.sleep(0.02)
            on[name] = statistics.median(runs)
    print(f"{'':24}{'off':>12}{'on':>12}")
    for name in STATEMENTS:
        print(f"{name:24}{off[name]:9.0f} ns{on[name]:9.0f} ns")


def ways(folder, interval):
    """Each way to record the job: its name, the command, and what is started beside it."""

    def script(code):
        return [sys.executable, "-c", code]

    job = JOB.format(turns=TURNS)
    inside = f"{job}\nwith {{}}:\n    job()"
    yield "nothing", script(f"{job}\njob()"), None
    yield "barograph.record()", script(f"import barograph\n{inside}".format(f"barograph.record({folder + '/in'!r}, interval={interval})")), None
    program = os.path.join(sys.prefix, "bin", "barograph")
    yield "barograph run", [program, "run", "-q", "-i", f"{interval}s", "-o", folder + "/out", "--", *script(f"{job}\njob()")], None
    log = f"import logging\nlogging.basicConfig(filename={folder + '/log'!r}, level=logging.INFO)\nfrom pymemtrace import process\n"
    yield "pymemtrace.process", script(f"{log}{inside}".format(f"process.log_process(interval={interval}, log_level=logging.INFO)")), None
    # Else it runs the job again, more often looked at, if it was looked at less than five times.
    usage = f"memory_usage(job, interval={interval}, multiprocess=True, include_children=True, max_iterations=1)"
    yield "memory_profiler", script(f"from memory_profiler import memory_usage\n{job}\n{usage}"), None
    psrecord = [os.path.join(sys.prefix, "bin", "psrecord"), "--interval", str(interval), "--log", folder + "/psrecord", "--include-children"]
    yield "psrecord", script(f"{job}\njob()"), lambda pid: [*psrecord, str(pid)]


TURNS = 30_000_000


def run(command, beside):
    """Wall and CPU seconds of the job's loop, and CPU seconds of everything."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watcher = subprocess.Popen(beside(job.pid), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if beside else None
    said, _ = job.communicate()
    if watcher:
        watcher.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if job.returncode != 0:
        raise RuntimeError(f"{command[:2]} failed")
    wall, cpu = map(float, said.split())
    return wall, cpu, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def jobs(interval, rounds):
    print(f"\na loop of pure Python ({TURNS:,} turns), every {interval} s, median of {rounds}:")
    print(f"{'':22}{'loop wall':>11}{'':>8}{'loop CPU':>11}{'all CPU':>11}")
    results = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, command, beside in ways(folder, interval):
                try:
                    ran = run(command, beside)
                    results.setdefault(name, []).append(ran)
                except (RuntimeError, OSError, ValueError) as error:
                    print(f"{name}: {error}", file=sys.stderr)
    plain = statistics.median(wall for wall, _, _ in results["nothing"])
    for name, runs in results.items():
        wall, cpu, everything = (statistics.median(of) for of in zip(*runs))
        print(f"{name:22}{wall:9.3f} s {100 * (wall / plain - 1):+7.1f}%{cpu:9.3f} s{everything:9.3f} s")


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    words()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for interval in (1.0, 0.1, 0.01):
        jobs(interval, rounds)
