"""Starts so many children, one after the other, each with a few milliseconds of work, in one of three ways; prints what all used, by getrusage(2).

Orphans are collected by somebody else, and tell what they used themselves.
"""

import os
import resource
import sys
import time

how, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
told, tell = os.pipe()
by_orphans = 0.0


def spent(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def burn():
    while time.process_time() < seconds:
        sum(range(100))


for _ in range(count):
    if how == "program":
        pid = os.posix_spawn("/bin/true", ["true"], {})
    else:
        pid = os.fork()
    if pid == 0:
        if how == "child":
            burn()
            os._exit(0)
        if os.fork() == 0:
            burn()
            os.write(tell, b"%.6f\n" % spent(resource.RUSAGE_SELF))
        os._exit(0)
    os.waitpid(pid, 0)
    if how == "orphan":
        by_orphans += float(os.read(told, 32))
print(spent(resource.RUSAGE_SELF) + spent(resource.RUSAGE_CHILDREN) + by_orphans, flush=True)
os._exit(0)
