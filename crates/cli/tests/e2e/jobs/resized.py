"""Says what it can tell of the terminal it is on, waits until that has another size, and says how it was told."""

import os
import signal
import time

changes = []
signal.signal(signal.SIGWINCH, lambda *_: changes.append(tuple(os.get_terminal_size())))
print("streams", [os.isatty(number) for number in range(3)])
print("group", os.getpgid(0) == os.tcgetpgrp(0), "session", os.getsid(0) == os.getsid(os.getppid()))
print("leads", os.getpid() in (os.getpgid(0), os.getsid(0)))
print("size", tuple(os.get_terminal_size()))
for line in open("/proc/self/status"):
    if line.startswith(("SigBlk", "SigPnd", "ShdPnd")):
        print(line.strip())
print("ready", flush=True)
deadline = time.monotonic() + 10
while not changes and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.2)
print("changes", changes)
