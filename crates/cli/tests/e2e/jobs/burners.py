"""So many processes each use so many seconds of CPU time. When all have, they live on for a while, so that somebody sees them at rest.

Prints what all used, by getrusage(2).
"""

import os
import resource
import sys
import time

count, seconds = int(sys.argv[1]), float(sys.argv[2])
done, may_end = os.pipe(), os.pipe()


def burn():
    while time.process_time() < seconds:
        sum(range(1000))
    os.close(may_end[1])
    os.write(done[1], b".")
    os.read(may_end[0], 1)
    os._exit(0)


children = [pid for pid in (os.fork() for _ in range(count)) if pid or burn()]
left = count
while left:
    left -= len(os.read(done[0], left))
time.sleep(0.35)
os.close(may_end[1])
for pid in children:
    os.waitpid(pid, 0)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(usage.ru_utime + usage.ru_stime for usage in used), flush=True)
os._exit(0)
