"""Two threads that compute in lines of their own, one that waits, and a child that computes as well, all for so many seconds."""

import subprocess
import sys
import threading
import time


def first(end):
    while time.time() < end:
        sum(range(2000))  # the first thread's line


def second(end):
    while time.time() < end:
        sum(range(2000))  # the second thread's line


def child(end):
    while time.time() < end:
        sum(range(2000))  # the child's line


def idle(done):
    done.wait()  # the idle thread's line


if sys.argv[1] == "child":
    child(time.time() + float(sys.argv[2]))
else:
    end, done = time.time() + float(sys.argv[1]), threading.Event()
    process = subprocess.Popen([sys.executable, __file__, "child", sys.argv[1]])
    threads = [threading.Thread(target=work, args=(end,), name=work.__name__) for work in (first, second)]
    waiting = threading.Thread(target=idle, args=(done,), name="idle")
    for thread in [*threads, waiting]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    waiting.join()
    process.wait()
