"""A program with one hot line, one line that takes memory, and one that waits; its arguments are seconds and megabytes."""

import sys
import time


def cold(numbers):
    total = 0
    for number in numbers:
        total += number
    return total


def hot(numbers):
    total = 0
    for number in numbers:
        total += sum(digit * digit % 7 for digit in range(40))  # the hot line
    return total


def allocate(megabytes):
    return b"x" * (megabytes << 20)  # the allocating line


def main(seconds, megabytes):
    kept = []
    numbers = list(range(300))
    end = time.process_time() + seconds
    while time.process_time() < end:
        cold(numbers)
        hot(numbers)
        if not kept:
            kept.append(allocate(megabytes))
            time.sleep(0.3)  # the waiting line


main(float(sys.argv[1]), int(sys.argv[2]))
