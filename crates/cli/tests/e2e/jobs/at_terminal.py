"""Prints what a program can tell of its terminal, then echoes a line that is typed, as a pager or a prompt would work."""

import os
import sys

print([os.isatty(number) for number in range(3)])
print("size", tuple(os.get_terminal_size()))
print("in front", os.tcgetpgrp(0) == os.getpgid(0))
print("own tty", os.open("/dev/tty", os.O_RDWR) >= 0)
print("ready", flush=True)
print("typed", repr(sys.stdin.readline()))
