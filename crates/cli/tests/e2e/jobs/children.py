"""Starts four children, each of which uses 0.25 s of CPU time and writes what it used into used/PID; its argument says who collects them."""

import os
import resource
import signal
import subprocess
import sys
import time

BURN = """
import os, resource, time
while time.process_time() < 0.25:
    sum(range(1000))
time.sleep(0.15)  # so that somebody sees it after its work is done
usage = resource.getrusage(resource.RUSAGE_SELF)
open(f"used/{os.getpid()}", "w").write(str(usage.ru_utime + usage.ru_stime))
"""


def start():
    return [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(4)]


def collected():
    for child in start():
        child.wait()
    time.sleep(0.2)


def ignored():
    """The kernel collects them, and adds their time to nobody's."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for child in start():
        try:
            child.wait()
        except ChildProcessError:
            pass
    time.sleep(0.2)


def orphaned():
    if os.fork() == 0:
        start()
        os._exit(0)
    os.wait()


def nested():
    """A child that collects children, so that their time is passed on twice."""
    if os.fork() == 0:
        collected()
        os._exit(0)
    os.wait()
    time.sleep(0.2)


os.mkdir("used")
globals()[sys.argv[1]]()
