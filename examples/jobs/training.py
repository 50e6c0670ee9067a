#!/usr/bin/env python3
"""A training run in miniature, as an example of a job that says what it is doing: about 30 seconds, two cores, at most 500 MB, nothing but Python.

Three epochs: workers load a batch while the model trains on the one before, then an evaluation, then a checkpoint that is written and synced. In the second
epoch the loader stalls. Epochs, steps and checkpoints are spans and marks, the loss is a gauge; all of it is said by `Words`, which needs no library
(docs/beacon.md), and costs nothing where nobody records.
"""

import contextlib
import hashlib
import json
import math
import multiprocessing
import os
import random
import socket
import sys
import tempfile
import time

MIB = 1 << 20


class Words:
    """Tells a recorder what this program is doing, if there is one."""

    def __init__(self):
        self.socket, self.open = None, []
        if address := os.environ.get("BAROGRAPH_BEACON"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.setblocking(False)
            self.socket.connect("\0" + address[1:] if address.startswith("@") else address)

    def say(self, **words):
        if self.socket:
            with contextlib.suppress(OSError):
                self.socket.send(json.dumps({"t": time.monotonic_ns(), "pid": os.getpid(), **words}).encode())

    @contextlib.contextmanager
    def span(self, name, **attributes):
        span = f"{random.getrandbits(64):016x}"
        parent = {"parent": self.open[-1]} if self.open else {}
        self.say(begin=name, span=span, attributes=attributes, cpu=time.thread_time_ns(), process_cpu=time.process_time_ns(), **parent)
        self.open.append(span)
        how = {}
        try:
            yield
        except Exception as error:
            how = {"status": "error", "detail": str(error)}
            raise
        finally:
            self.open.pop()
            self.say(end=span, cpu=time.thread_time_ns(), process_cpu=time.process_time_ns(), **how)


def work(seconds):
    """Hashes until so much CPU time is used."""
    begin, digest = time.process_time(), b"seed"
    while time.process_time() - begin < seconds:
        for _ in range(1000):
            digest = hashlib.sha256(digest).digest()


def load(task):
    """What a worker of the loader does: decodes a batch."""
    seconds, megabytes = task
    batch = bytearray(megabytes * MIB)
    batch[::4096] = b"\1" * len(batch[::4096])
    work(seconds)
    return len(batch)


def write_checkpoint(folder, name):
    with open(os.path.join(folder, name), "wb") as file:
        for _ in range(20):
            file.write(os.urandom(2 * MIB))
            file.flush()
            os.fsync(file.fileno())


def main():
    words, weights, step = Words(), [], 0
    with multiprocessing.Pool(2) as loader, tempfile.TemporaryDirectory(prefix="training-", dir=os.environ.get("TMPDIR")) as folder:
        for epoch in range(1, 4):
            print(f"epoch {epoch}", flush=True)
            with words.span("epoch", number=epoch):
                with words.span("load"):
                    loader.map(load, [(0.8, 40)] * 4)
                    weights.append(bytearray(b"\1") * (60 * MIB))
                for _ in range(6):
                    ahead = loader.map_async(load, [(0.3, 40)] * 2)
                    step += 1
                    with words.span("train step", step=step):
                        work(0.7)
                    words.say(gauge="loss", value=2.3 * math.exp(-step / 6) + random.uniform(0, 0.1))
                    if epoch == 2 and step == 9:
                        words.say(mark="loader stalls", detail="the shard is on a slow disk")
                        with contextlib.suppress(TimeoutError), words.span("wait for data"):
                            time.sleep(2.5)
                            raise TimeoutError("no batch within 2.5 s")
                    ahead.wait()
                with words.span("eval"):
                    work(1.2)
                with words.span("checkpoint"):
                    write_checkpoint(folder, f"{epoch}.bin")
                words.say(mark=f"checkpoint {epoch}")
    print(f"done: {step} steps, loss below {2.3 * math.exp(-step / 6) + 0.1:.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
