"""Becomes an unusual parent, as its first argument says, and then the command that follows."""

import os
import resource
import signal
import sys


def plain():
    pass


def limited():
    """Everything that a launcher may set, set to something unusual."""
    os.umask(0o027)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, 64 << 20))
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    open("/proc/self/oom_score_adj", "w").write("300")
    os.environ["EMPTY"] = ""
    os.environb[b"BYTES"] = b"\xff\xfe line\nfeed"
    os.dup2(os.open("/dev/null", os.O_RDWR), 7)
    os.set_inheritable(7, True)
    os.dup2(os.open("/", os.O_RDONLY), 42)
    os.set_inheritable(42, True)


def blocking():
    """Signals blocked and ignored, among them those that a recorder uses itself."""
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM})
    for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGQUIT, signal.SIGTTOU, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def heedless():
    """As under a parent that wants to hear nothing of its children: the kernel collects them."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def without_input():
    os.close(0)


def without_streams():
    os.closerange(0, 3)


# Python itself ignores these two.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
globals()[sys.argv[1]]()
os.execvp(sys.argv[2], sys.argv[2:])
