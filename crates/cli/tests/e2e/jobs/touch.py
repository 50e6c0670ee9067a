"""Touches so many MiB in two halves, with a pause after each, and prints what the kernel says it had at most: VmHWM and getrusage(2), in bytes."""

import mmap
import os
import resource
import sys
import time

size = int(sys.argv[1]) << 20
block = mmap.mmap(-1, size)
for half in range(2):
    for at in range(half * size // 2, (half + 1) * size // 2, mmap.PAGESIZE):
        block[at] = 1
    time.sleep(0.4)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) * 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
os._exit(0)
