"""Sits at a terminal as a person does. Reads its orders from stdin, as JSON:

    command  what is started on a terminal of its own
    steps    pairs: a pattern that the terminal must show, and what is done then: keys to type, or one of
             {"size": [rows, columns]}, {"signal": NAME}, {"hang up": true}
    leads    whether the command leads the session; else a shell between does

Prints as JSON what the terminal showed, the exit status (as shells give it), and the pattern that was waited for in vain.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

DEADLINE = 20
orders = json.load(sys.stdin)
pid, terminal = pty.fork()
if pid == 0:
    termios.tcsetwinsize(0, (24, 80))
    os.environ.update(TERM="xterm", PS1="ready> ", LESS="")
    command = orders["command"]
    if not orders["leads"]:
        command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    os.execvp(command[0], command)

shown = b""


def read_until(pattern):
    """Whether the pattern came; with None, reads to the end."""
    global shown, seen
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        found = pattern and re.search(pattern.encode(), shown[seen:])
        if found:
            seen += found.end()
            return True
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                got = os.read(terminal, 65536)
            except OSError:  # EIO: the last one to have it open has ended
                return pattern is None
            if not got:
                return pattern is None
            shown += got
    return False


seen = 0
missing = None
for pattern, action in orders["steps"]:
    if not read_until(pattern):
        missing = pattern
        break
    if isinstance(action, str):
        os.write(terminal, action.encode())
    elif "size" in action:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *action["size"], 0, 0))
    elif "signal" in action:
        os.kill(pid, getattr(signal, action["signal"]))
    else:
        os.close(terminal)
        terminal = None
        break
if terminal is not None and missing is None and not read_until(None):
    missing = "the end"
if missing is not None:
    os.kill(pid, signal.SIGKILL)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
json.dump({"shown": shown.decode(errors="replace"), "status": status if status >= 0 else 128 - status, "missing": missing}, sys.stdout)
