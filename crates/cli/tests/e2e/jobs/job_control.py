"""Sits at a terminal as a person does: starts `barograph run` in an interactive shell, stops it, looks at it, takes it up again, and ends it.

Prints what the shell said at each step, one line of JSON. Arguments: the program, and where it is to record.
"""

import json
import os
import pty
import re
import select
import sys
import time

barograph, recording = sys.argv[1:]
DEADLINE = 20

pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(PS1="ready> ", TERM="dumb")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])


def read_until(pattern):
    """What the terminal shows until the pattern is in it."""
    text, end = "", time.monotonic() + DEADLINE
    while not re.search(pattern, text) and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 65536).decode(errors="replace")
    return text


def type_in(keys, pattern):
    os.write(terminal, keys.encode())
    return read_until(pattern)


said = {}
read_until("ready> ")
# One process that waits: a shell that is just starting another would be in a state of its own.
said["start"] = type_in(f"{barograph} run -q -i 50ms -o {recording} -- sh -c 'echo begun; read word'\n", "begun\r")
said["stop"] = type_in("\x1a", "Stopped.*\n.*ready> ")
said["states"] = type_in("ps -o stat=,comm= | grep -wE 'barograph|sh'; echo looked\n", "looked\r\n.*ready> ")
os.write(terminal, b"fg\n")
time.sleep(0.5)
said["end"] = type_in("\x03", "ready> ")
said["status"] = type_in("echo status=$?\n", r"status=\d+\r")
os.write(terminal, b"exit\n")
print(json.dumps(said))
