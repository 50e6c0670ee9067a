"""So many threads, outside of Python's lock, each use so many seconds of CPU time; prints what the kernel says that the process used."""

import os
import resource
import sys
import threading
import time
import zlib

count, seconds = int(sys.argv[1]), float(sys.argv[2])
block = bytes(1 << 20)


def burn():
    while time.thread_time() < seconds:
        zlib.crc32(block)


threads = [threading.Thread(target=burn) for _ in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime + usage.ru_stime, flush=True)
# What a Python does on its way out comes after the reading.
os._exit(0)
