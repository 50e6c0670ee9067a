"""What `run` and `scale` share: setting up, control groups that tell what a recorder used, loads, and reading what a recorder wrote."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PEERS = ROOT / "bench" / "peers"
PYTHON = TARGET / "bench-venv" / "bin" / "python"
HELPER = TARGET / "bench" / "release" / "bench-helper"
BAROGRAPH = TARGET / "release" / "barograph"
THIN = TARGET / "release" / "examples" / "thin"


def say(text):
    print(text, file=sys.stderr, flush=True)


# Setting up


def build():
    """Builds what is measured, and the helper. Cargo says itself that there is nothing to do."""
    for command in (
        ["cargo", "build", "--quiet", "--release", "--locked", "--package", "barograph-cli"],
        ["cargo", "build", "--quiet", "--release", "--locked", "--package", "barograph-store", "--example", "thin"],
        ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", "bench/helper/Cargo.toml", "--target-dir", str(TARGET / "bench")],
    ):
        subprocess.run(command, cwd=ROOT, check=True)


def make_environment():
    """The Python peers, in an environment of their own; one that is there and has them is left as it is."""
    wanted, installed = PEERS / "requirements.txt", TARGET / "bench-venv" / "installed"
    if installed.exists() and installed.read_text() == wanted.read_text():
        return True
    say("installing the Python peers")
    try:
        subprocess.run([sys.executable, "-m", "venv", TARGET / "bench-venv"], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", wanted], check=True)
    except (subprocess.CalledProcessError, OSError) as error:
        say(f"no Python peers: {error}")
        return False
    shutil.copy(wanted, installed)
    return True


def tool(name):
    """A peer from the Python environment or the system, or None, which is said once."""
    inside = PYTHON.parent / name
    found = str(inside) if inside.exists() else shutil.which(name)
    if found is None and name not in tool.missing:
        tool.missing.append(name)
        say(f"left out: {name} is not installed")
    return found


tool.missing = []


def machine():
    """What the numbers hold for."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "revision": revision,
        "cores": os.cpu_count(),
        "processor": model,
        "kernel": os.uname().release,
        "load": os.getloadavg(),
        "processes": len(pids()),
    }


# Control groups


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


class Groups:
    """Control groups of version 2, one for each recorder: cpu.stat counts microseconds of all its threads and of what it collected.

    Without a place to make any, the scheduler's figures of the living threads and the ticks of collected children are added up instead.
    """

    def __init__(self):
        self.folder, self.count = None, 0
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        mount = next((words[1] for words in mounts if words[2] == "cgroup2"), None)
        own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
        if mount and own:
            self.home = Path(mount + own)
            try:
                folder = self.home / f"barograph-bench-{os.getpid()}"
                folder.mkdir()
                self.folder = folder
            except OSError as error:
                say(f"no control groups ({error}): CPU time is added up from the scheduler's figures of each thread")

    def make(self):
        if self.folder is None:
            return None
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        return folder

    def end(self):
        if self.folder:
            for folder in [*self.folder.iterdir(), self.folder]:
                if folder.is_dir():
                    folder.rmdir()


class Recorder:
    """A recorder under test, in a control group of its own, with the load that it started outside of it."""

    def __init__(self, groups, command, **options):
        self.group = groups.make()
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        enter = None if self.group is None else lambda: (self.group / "cgroup.procs").write_text("0")
        self.process = subprocess.Popen([str(word) for word in command], preexec_fn=enter, **options)

    def members(self):
        """Its processes. A load that it started belongs to the helper, and is not counted."""
        if self.group is not None:
            return [int(pid) for pid in (self.group / "cgroup.procs").read_text().split()]
        found, wait = [], [self.process.pid]
        while wait:
            pid = wait.pop()
            try:
                helper = os.readlink(f"/proc/{pid}/exe") == str(HELPER) and pid != self.process.pid
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            if not helper:
                found.append(pid)
                wait += map(int, children)
        return found

    def cpu(self):
        """Seconds of CPU so far."""
        if self.group is not None:
            words = (self.group / "cpu.stat").read_text().split()
            return int(words[words.index("usage_usec") + 1]) / 1e6
        total = 0.0
        for pid in self.members():
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) / 1e9
                fields = stat_of(pid)
                total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue
        return total

    def memory(self):
        """Bytes: resident, proportional (PSS), anonymous; of all its processes together."""
        sums = {"Rss": 0, "Pss": 0, "Anonymous": 0}
        for pid in self.members():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                name, value = line.split(":")
                if name in sums:
                    sums[name] += int(value.split()[0]) * 1024
        return sums

    def end(self, wait=30):
        """Asks it to end, and insists after a while."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            say(f"{self.process.args[0]} did not end, and is killed")
            self.process.kill()
            self.process.wait()
        if self.group is not None:
            for pid in self.members():
                os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 5
            while self.members() and time.monotonic() < deadline:
                time.sleep(0.02)
            self.group.rmdir()
        return self.process.returncode


# Loads


@contextmanager
def load(*words):
    """A load of the helper's beside the recorders; gives its process."""
    process = subprocess.Popen([HELPER, *map(str, words)], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the load {words} did not start")
        yield process
    finally:
        children = {pid for pid in pids() if parent_of(pid) == process.pid}
        process.terminate()
        process.wait()
        # They die with it, and are somebody else's to collect: until then whoever counts processes counts them.
        deadline = time.monotonic() + 30
        while left := children & set(pids()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"nobody collects what the load {words} left: {len(left)} processes")
            time.sleep(0.05)


def job(groups, *words):
    """The command of a load that a recorder is to start: it leaves the recorder's control group by itself."""
    leave = [] if groups.folder is None else ["--cgroup", groups.home]
    return [str(word) for word in [HELPER, *leave, *words]]


def stat_of(pid):
    """The fields of /proc/PID/stat from the third on, proc(5): its state, then its parent."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def parent_of(pid):
    """The pid of a process's parent; `None` if it has gone."""
    try:
        return int(stat_of(pid)[1])
    except OSError:
        return None


def end_jobs(recorder):
    """Ends the loads that a recorder started, so that it ends as if its job had: they are children of a member, or its descendants."""
    members = set(recorder.members()) | {recorder.process.pid}
    for pid in pids():
        try:
            if parent_of(pid) in members and os.readlink(f"/proc/{pid}/exe") == str(HELPER):
                os.kill(pid, signal.SIGTERM)
        except OSError:
            continue


# Recordings


def ways_of_reading():
    """Options by which `record` reads processes one way or the other, by what to call them. Only one where it knows of no other."""
    helped = subprocess.run([BAROGRAPH, "record", "--help"], capture_output=True, text=True, check=True).stdout
    return {"": ["--fast", "off"], ", fast": ["--fast", "auto"]} if "--fast" in helped else {"": []}


def was_fast(recording):
    """Whether a recording had processes from somewhere else than /proc."""
    return any(int(row.get("processes_fast") or 0) for row in rows(recording, "own"))


def rows(recording, table, **options):
    """Rows of a table as a program of our users' would get them."""
    command = [BAROGRAPH, "export", recording, "--table", table, "--format", "csv", "-o", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout
    return list(csv.DictReader(io.StringIO(text)))


def facts(recording):
    return json.loads((Path(recording) / "recording.json").read_text())


def size(path, hidden=False):
    """Bytes of a file, or of all files below a folder."""
    path = Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and (hidden or not file.name.startswith(".")))


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
