"""Counts signals, those whose names are its arguments, until it has had each; then prints the counts and ends with status 5."""

import json
import signal
import sys
import time

names = sys.argv[1:]
counts = dict.fromkeys(names, 0)


def count(number, _frame):
    counts[next(name for name in names if getattr(signal, name) == number)] += 1


for name in names:
    signal.signal(getattr(signal, name), count)
print("ready", flush=True)
deadline = time.monotonic() + 20
while 0 in counts.values() and time.monotonic() < deadline:
    time.sleep(0.01)
# One that is delivered twice comes a second time now.
end = time.monotonic() + 0.3
while time.monotonic() < end:
    time.sleep(0.01)
print(json.dumps(counts, sort_keys=True), flush=True)
sys.exit(5)
