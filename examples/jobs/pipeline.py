#!/usr/bin/env python3
"""A small data pipeline, as an example of a job to record: about 15 seconds, two cores, at most 400 MB, nothing but Python.

Its phases differ in what they need, so that each leaves another mark on the curves: CPU on several processes, memory that grows and is given back,
a file that is written, synced and read, many short processes, and a transfer over the loopback network.
"""

import hashlib
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1 << 20


def crunch(seconds):
    """Hashes until so much CPU time is used, by this process alone."""
    begin = time.process_time()
    digest = b"seed"
    while time.process_time() - begin < seconds:
        for _ in range(1000):
            digest = hashlib.sha256(digest).digest()
    return digest.hex()[:8]


def use_cpu():
    """Four tasks on two worker processes."""
    with multiprocessing.Pool(2) as pool:
        print("   checksums:", *pool.map(crunch, [2.5] * 4), flush=True)


def use_memory():
    """Takes 240 MB in steps, as a program that loads its data does, then lets go of it."""
    blocks = []
    for _ in range(12):
        block = bytearray(20 * MIB)
        block[::4096] = b"\1" * len(block[::4096])  # untouched pages would cost nothing
        blocks.append(block)
        time.sleep(0.2)
    time.sleep(1)
    print(f"   held {sum(map(len, blocks)) // MIB} MiB", flush=True)
    blocks.clear()
    time.sleep(0.5)


def use_disk():
    """Writes 96 MB, in pieces that are synced, and reads them twice."""
    chunk = os.urandom(4 * MIB)
    with tempfile.TemporaryDirectory(prefix="pipeline-", dir=os.environ.get("TMPDIR")) as folder:
        path = os.path.join(folder, "data")
        with open(path, "wb") as file:
            for _ in range(24):
                file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                time.sleep(0.04)
        for _ in range(2):
            checksum = hashlib.sha256()
            with open(path, "rb") as file:
                while block := file.read(MIB):
                    checksum.update(block)
        print("   checksum:", checksum.hexdigest()[:8], flush=True)


def use_children():
    """One thousand processes, too short for any of them to be noticed alone."""
    for _ in range(1000):
        subprocess.run(["true"], check=True)


def use_network():
    """Sends 96 MB to itself over the loopback interface."""
    server = socket.create_server(("127.0.0.1", 0))

    def receive():
        connection, _ = server.accept()
        with connection:
            while connection.recv(MIB):
                pass

    receiver = threading.Thread(target=receive)
    receiver.start()
    chunk = bytes(MIB)
    with socket.create_connection(server.getsockname()) as connection:
        for _ in range(96):
            connection.sendall(chunk)
            time.sleep(0.03)
    receiver.join()
    server.close()


def main():
    begin = time.monotonic()
    for phase in (use_cpu, use_memory, use_disk, use_children, use_network):
        print(f"{time.monotonic() - begin:5.1f} s  {phase.__doc__.splitlines()[0]}", flush=True)
        phase()
    print(f"{time.monotonic() - begin:5.1f} s  done", flush=True)


if __name__ == "__main__":
    sys.exit(main())
