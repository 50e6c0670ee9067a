"""A small training run that says what it is doing, and what that cost."""

from __future__ import annotations

import random
from collections.abc import Iterator

import barograph


@barograph.profile
def load(path: str, rows: int) -> list[float]:
    """Reads the data."""
    chance = random.Random(path)
    return [chance.random() for _ in range(rows)]


@barograph.profile("batches")
def batches(data: list[float], size: int) -> Iterator[list[float]]:
    """Cuts it in pieces; its CPU time is its own, and not the training's."""
    for begin in range(0, len(data), size):
        yield sorted(data[begin : begin + size])


def train(data: list[float], epochs: int) -> float:
    """Finds the mean, slowly."""
    guess = 0.0
    for epoch in range(epochs):
        with barograph.span("epoch", number=epoch):
            for batch in batches(data, 10_000):
                guess += sum(value - guess for value in batch) / len(data)
            barograph.gauge("loss", abs(guess - 0.5))
    return guess


def main() -> None:
    with barograph.record("train.baro", interval=0.1, force=True) as recorder:
        data = load("a.csv", 200_000)
        barograph.mark("loaded", rows=len(data))
        train(data, epochs=3)
    for span in recorder.recording.spans():
        print(f"{'  ' * span['depth']}{span['name']}: {span['wall_seconds']:.3f} s, {span['thread_cpu_seconds']:.3f} s CPU")


if __name__ == "__main__":
    main()
