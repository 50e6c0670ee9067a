"""Runs a command on a terminal of its own, types its first argument once the command has said `ready`, and prints what the terminal showed."""

import os
import pty
import sys
import termios

keys = sys.argv[1].encode().decode("unicode_escape").encode()
pid, terminal = pty.fork()
if pid == 0:
    termios.tcsetwinsize(0, (33, 101))
    os.execvp(sys.argv[2], sys.argv[2:])
shown = b""
typed = False
while True:
    try:
        got = os.read(terminal, 65536)
    except OSError:  # EIO: the last one to have it open has ended
        break
    if not got:
        break
    shown += got
    if b"ready\r\n" in shown and not typed:
        typed = True
        os.write(terminal, keys)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
sys.exit(os.waitstatus_to_exitcode(status))
