"""What one reading costs psutil in a loop: `all` processes, or the children of one. Arguments: all|crowd, parent, rounds. Prints JSON."""

import json
import statistics
import sys
import time

import psutil

which, parent, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
attributes = ["pid", "name", "cpu_times", "memory_info", "num_threads", "io_counters"]
crowd = psutil.Process(parent).children() if which == "crowd" else []


def read_crowd():
    for process in crowd:
        with process.oneshot():
            process.cpu_times(), process.memory_info(), process.num_threads(), process.io_counters(), process.status()
    return len(crowd)


def read_all():
    return sum(1 for _ in psutil.process_iter(attributes))


spent = []
for round_ in range(rounds + 2):
    begin = time.process_time()
    read = read_crowd() if which == "crowd" else read_all()
    if round_ >= 2:
        spent.append((time.process_time() - begin) / read * 1e6)
print(json.dumps({"psutil": {"us": statistics.median(spent), "least_us": min(spent), "ms": statistics.median(spent) * read / 1e3, "processes": read}}))
