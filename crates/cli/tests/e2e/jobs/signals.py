"""Counts the signals that it gets, until it has had as many different ones as its first argument says; then prints the counts and ends with status 5."""

import json
import signal
import sys
import time

counts = {}


def count(number, _frame):
    name = signal.Signals(number).name
    counts[name] = counts.get(name, 0) + 1


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
    signal.signal(number, count)
print("ready", flush=True)
deadline = time.monotonic() + 30
while len(counts) < int(sys.argv[1]) and time.monotonic() < deadline:
    time.sleep(0.01)
# One that is delivered twice comes a second time now.
end = time.monotonic() + 0.3
while time.monotonic() < end:
    time.sleep(0.01)
print(json.dumps(counts, sort_keys=True), flush=True)
sys.exit(5)
