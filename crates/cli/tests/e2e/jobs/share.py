"""Touches so many MiB; then so many children read all of them and live on for so many seconds, or until there is a file of that name.

Prints what the kernel says, in bytes: the sum of the children's proportional sets, and the sum of what each has in RAM.
"""

import mmap
import os
import sys
import time

size, count, until = int(sys.argv[1]) << 20, int(sys.argv[2]), sys.argv[3]
block = mmap.mmap(-1, size)
for at in range(0, size, mmap.PAGESIZE):
    block[at] = 1
ready, told = os.pipe()
hold, release = os.pipe()
pids = []
for _ in range(count):
    pid = os.fork()
    if pid == 0:
        os.close(release)
        sum(block[at] for at in range(0, size, mmap.PAGESIZE))
        os.write(told, b".")
        os.read(hold, 1)
        os._exit(0)
    pids.append(pid)
heard = 0
while heard < count:
    heard += len(os.read(ready, count))


def kibibytes(path, key):
    return next(int(line.split()[1]) for line in open(path) if line.startswith(key + ":"))


pids.append(os.getpid())
proportional = sum(kibibytes(f"/proc/{pid}/smaps_rollup", "Pss") for pid in pids)
resident = sum(kibibytes(f"/proc/{pid}/smaps_rollup", "Rss") for pid in pids)
print(proportional * 1024, resident * 1024, flush=True)
if until.startswith("/"):
    while not os.path.exists(until):
        time.sleep(0.02)
else:
    time.sleep(float(until))
os.close(release)
for pid in pids[:-1]:
    os.waitpid(pid, 0)
os._exit(0)
