"""What a program that watches the machine costs itself, at a terminal of 120 columns and 40 rows.

    python3 bench/at_terminal_cpu.py SECONDS WARM_UP COMMAND...

Prints its share of one core over so many seconds, after the warm-up, the RAM that it has, and how much it writes to the terminal.
"""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time

seconds, warm_up, command = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    termios.tcsetwinsize(0, (40, 120))
    os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
written = 0


def drain():
    global written
    while True:
        try:
            written += len(os.read(terminal, 65536))
        except OSError:  # EIO: it has ended
            return


def used():
    """CPU seconds of all its threads, and RAM in MiB."""
    with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/statm") as memory:
        fields = stat.read().rsplit(")", 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK"), int(memory.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


threading.Thread(target=drain, daemon=True).start()
time.sleep(warm_up)
before, begin, already = used()[0], time.monotonic(), written
time.sleep(seconds)
after, resident = used()
elapsed = time.monotonic() - begin
print(f"{100 * (after - before) / elapsed:.2f} % of a core, {resident:.1f} MiB, {(written - already) / elapsed / 1024:.1f} KiB/s to the terminal")
os.kill(pid, signal.SIGTERM)
time.sleep(0.3)
