"""Sends so many MiB per second for so many seconds from one process to another over TCP and `lo`, and prints what it knows of it.

That is, in bytes: what was sent, and what IP received. With `up` as a third argument, `lo` is taken into use before, as in a network namespace
that is new.
"""

import fcntl
import os
import socket
import struct
import sys
import time

rate, seconds = int(sys.argv[1]) << 20, float(sys.argv[2])
if "up" in sys.argv:
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def counted():
    """InOctets of IP, from /proc/net/netstat."""
    lines = open("/proc/net/netstat").read().splitlines()
    tables = {head.split()[0]: dict(zip(head.split(), values.split())) for head, values in zip(lines[::2], lines[1::2])}
    return int(tables["IpExt:"]["InOctets"])


server = socket.create_server(("127.0.0.1", 0))
before = counted()
if os.fork() == 0:
    taker, _ = server.accept()
    while taker.recv(1 << 20):
        pass
    os._exit(0)
giver = socket.create_connection(server.getsockname())
block = bytes(1 << 18)
begin, sent = time.monotonic(), 0
while sent < rate * seconds:
    giver.sendall(block)
    sent += len(block)
    time.sleep(max(0, begin + sent / rate - time.monotonic()))
giver.close()
os.wait()
print(sent, counted() - before, flush=True)
# So that a reading comes after it.
time.sleep(0.2)
os._exit(0)
