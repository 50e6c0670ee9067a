"""Outlives the command of this pid, and then has a child of the same pid, orphaned, which exits 7: the kernel may give a pid away again.

It asks for the pid as root may, in a namespace of its own; exits 77 where the kernel has no such thing.
"""

import os
import sys
import time

pid = int(sys.argv[1])
while os.path.exists(f"/proc/{pid}"):
    time.sleep(0.001)
while True:
    try:
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(pid - 1))
    except OSError:
        open("unable", "w").close()
        os._exit(77)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        while os.getppid() == parent:
            time.sleep(0.001)
        os._exit(7)
    if child == pid:
        open("namesake", "w").close()
        os._exit(0)
    # Somebody else was faster.
    os.kill(child, 9)
    os.waitpid(child, 0)
