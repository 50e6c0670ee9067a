"""Makes a descendant in one of the ways that lose sight of it, and writes its pid into the file `pid`. All live for a second."""

import os
import subprocess
import sys
import threading
import time

SLEEPER = [sys.executable, "-c", "import time; time.sleep(1)"]


def note(pid):
    with open("pid.new", "w") as file:
        file.write(f"{pid}\n")
    os.rename("pid.new", "pid")


def become_sleeper():
    note(os.getpid())
    os.execv(SLEEPER[0], SLEEPER)


def daemon():
    """Fork, new session, fork again, and leave: what a daemon does."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            os.chdir(start)
            become_sleeper()
        os._exit(0)
    os.wait()


def thread():
    """Forked by a thread other than the main one, which then is listed under that thread alone."""
    def work():
        child = subprocess.Popen(SLEEPER)
        note(child.pid)
        child.wait()
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()


def orphan():
    """The parent ends first."""
    if os.fork() == 0:
        if os.fork() == 0:
            become_sleeper()
        time.sleep(0.2)
        os._exit(0)
    os.wait()


def session():
    child = subprocess.Popen(SLEEPER, start_new_session=True)
    note(child.pid)
    child.wait()


start = os.getcwd()
globals()[sys.argv[1]]()
