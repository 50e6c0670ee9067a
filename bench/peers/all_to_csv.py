"""A recorder of all processes as many write it: psutil, six attributes, a line of CSV for each. Arguments: seconds between ticks, file."""

import csv
import sys
import time

import psutil

interval, path = float(sys.argv[1]), sys.argv[2]
attributes = ["pid", "name", "cpu_times", "memory_info", "num_threads", "io_counters"]
with open(path, "w", newline="") as file:
    writer = csv.writer(file)
    due = time.monotonic()
    while True:
        now = time.time()
        for process in psutil.process_iter(attributes):
            info = process.info
            cpu, memory, io = info["cpu_times"], info["memory_info"], info["io_counters"]
            row = [f"{now:.3f}", info["pid"], info["name"], cpu and cpu.user, cpu and cpu.system, memory and memory.rss, info["num_threads"]]
            writer.writerow(row + ([io.read_bytes, io.write_bytes] if io else [None, None]))
        file.flush()
        due += interval
        time.sleep(max(0.0, due - time.monotonic()))
