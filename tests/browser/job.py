#!/usr/bin/env python3
"""A job of some seconds for the browser tests: it works, grows, has a child and a thread, and says what it is doing (docs/beacon.md)."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

ADDRESS = os.environ.get("BAROGRAPH_BEACON")
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
words = None
if ADDRESS:
    words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    words.connect("\0" + ADDRESS[1:] if ADDRESS.startswith("@") else ADDRESS)


def say(**what):
    if words:
        words.send(json.dumps({"t": time.monotonic_ns(), "pid": os.getpid(), "tid": threading.get_native_id(), **what}).encode())


def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(2000))


def main():
    say(begin="whole", span="s1", cpu=time.thread_time_ns())
    say(begin="load", span="s2", parent="s1", cpu=time.thread_time_ns(), attributes={"shard": 7})
    kept = bytearray(b"\1") * (80 << 20)
    work(SECONDS / 4)
    say(end="s2", cpu=time.thread_time_ns())
    say(mark="loaded", detail="80 MiB")
    # It lives for a while after the steps, however long they take.
    life = f"import sys, time; kept = bytearray(b'x') * (30 << 20); sys.stdin.read(); time.sleep({SECONDS / 4})"
    child = subprocess.Popen([sys.executable, "-c", life], stdin=subprocess.PIPE)
    for step in range(20):
        say(begin="step", span=f"step{step}", parent="s1", cpu=time.thread_time_ns())
        work(SECONDS / 80)
        say(end=f"step{step}", cpu=time.thread_time_ns())
        say(gauge="progress", value=step)
    say(begin="wait", span="s3", parent="s1", cpu=time.thread_time_ns())
    child.stdin.close()
    child.wait()
    say(end="s3", cpu=time.thread_time_ns(), status="error", detail="nothing came")
    say(mark="child ended")
    time.sleep(SECONDS / 8)
    say(begin="never closed", span="s4", parent="s1")
    say(end="s1", cpu=time.thread_time_ns())
    return len(kept) % 2


if __name__ == "__main__":
    sys.exit(main())
