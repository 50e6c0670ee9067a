"""Prints, as one JSON object, everything about its surroundings that a job could tell one launcher from another by."""

import json
import os
import resource
import sys


def descriptors():
    """Each open descriptor: what it is open on, and with which flags."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # that of the listing itself
        # Offsets of files that both share would differ.
        info = open(f"/proc/self/fdinfo/{name}").read().split("flags:")[1].split()[0]
        found[name] = [target, info]
    return found


def limits():
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def status():
    """Lines of /proc/self/status that say what a process may do."""
    wanted = "Umask Uid Gid Groups SigPnd ShdPnd SigBlk CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Cpus_allowed".split()
    lines = (line.split(":", 1) for line in open("/proc/self/status"))
    return {name: value.strip() for name, value in lines if name in wanted}


def text(path):
    try:
        return open(path).read()
    except OSError as error:
        return error.strerror


world = {
    "arguments": sys.argv[1:],
    "environment": sorted(repr(pair) for pair in os.environb.items()),
    "folder": os.getcwd(),
    "descriptors": descriptors(),
    "limits": limits(),
    "status": status(),
    "nice": os.nice(0),
    "group": os.getpgid(0),
    "session": os.getsid(0),
    "scheduling": [os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))],
    "terminals": [os.isatty(number) for number in range(3)],
    "controls": [text(f"/proc/self/{name}") for name in ("oom_score_adj", "timerslack_ns", "coredump_filter", "personality", "cgroup", "loginuid")],
}
target = open(sys.argv[1], "w") if len(sys.argv) > 1 else sys.stdout
target.write(json.dumps(world, default=repr, sort_keys=True) + "\n")
