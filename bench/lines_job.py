"""Pure Python, always the same work: a loop of calls, some of which take memory. Prints the wall and the CPU seconds of that work as JSON."""

import json
import sys
import time

try:
    profile
except NameError:

    def profile(function):
        """memory_profiler brings its own, which looks at every line of what it is put on."""
        return function


def inner(number):
    total = 0
    for step in range(60):
        total += number * step % 7
    return total


def middle(number, depth):
    if depth:
        return middle(number, depth - 1)
    return inner(number) + inner(number + 1)


@profile
def work(rounds):
    kept = []
    for round in range(rounds):
        middle(round, 8)
        if round % 1000 == 0:
            kept.append(bytearray(100_000))
    return kept


begin = time.perf_counter(), time.process_time()
work(int(sys.argv[1]))
seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
with open(sys.argv[2], "w") as out:
    json.dump({"wall": seconds[0], "cpu": seconds[1], "whole_cpu": time.process_time()}, out)
