#!/usr/bin/env python3
"""One hot line, one line that takes memory, and one that waits, as an example for `--lines`. Its arguments are rounds and megabytes."""

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


def main(rounds, megabytes):
    kept = []
    numbers = list(range(300))
    for round in range(rounds):
        cold(numbers)
        hot(numbers)
        if round == rounds // 4:
            kept.append(allocate(megabytes))
    time.sleep(0.3)  # the waiting line


main(*map(int, sys.argv[1:] or (1200, 300)))
