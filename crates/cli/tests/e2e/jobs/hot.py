"""A program with one hot line, one line that takes memory, and one that waits; its arguments are rounds and megabytes."""

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


main(int(sys.argv[1]), int(sys.argv[2]))
