"""What becomes of a job and its recorder in a control group (version 1) with too little memory?

    python bench/little_room.py LOWEST HIGHEST STEP [--alone] -- COMMAND…      limits in KiB, as root

Needs `cargo build --release -p barograph-cli --bins`. For each limit: the exit status, how many the kernel killed there, the most memory that was
charged, and the state of the recording. The command runs in a folder of its own; what it wrote into a file `ran` there is printed.
`BAROGRAPH_OPTIONS` are further options of `run`.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BAROGRAPH = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "barograph"
GROUP = pathlib.Path(f"/sys/fs/cgroup/memory/barograph-bench-{os.getpid()}")


def until_empty(seconds):
    deadline = time.monotonic() + seconds
    while (GROUP / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)


def run(kibibytes, command):
    GROUP.mkdir()
    (GROUP / "memory.limit_in_bytes").write_text(str(kibibytes << 10))
    try:
        with tempfile.TemporaryDirectory() as place:
            line = ["bash", "-c", f"echo $$ > {GROUP}/cgroup.procs; exec {command}"]
            # Whoever is left behind writes to the same place.
            with open(f"{place}/said", "wb") as said:
                status = subprocess.run(line, cwd=place, stdin=subprocess.DEVNULL, stdout=said, stderr=said).returncode
            until_empty(30)
            events = dict(line.split() for line in (GROUP / "memory.oom_control").read_text().splitlines())
            most = int((GROUP / "memory.max_usage_in_bytes").read_text()) >> 10
            told = subprocess.run([BAROGRAPH, "report", "--json", "r.baro"], cwd=place, capture_output=True, text=True).stdout
            state = json.loads(told)["recording"]["state"] if told else "none"
            ran = pathlib.Path(place, "ran")
            lines = " ".join(ran.read_text().split()) if ran.exists() else ""
            print(f"{kibibytes:8} KiB  status {status:4}  killed {events['oom_kill']:>2}  most {most:7} KiB  recording {state:11}  {lines[:60]}", flush=True)
    finally:
        for pid in (GROUP / "cgroup.procs").read_text().split():
            os.kill(int(pid), 9)
        until_empty(5)
        GROUP.rmdir()


def main():
    ours, command = sys.argv[1 : sys.argv.index("--")], shlex.join(sys.argv[sys.argv.index("--") + 1 :])
    if "--alone" not in ours:
        command = f"{BAROGRAPH} run -q -i 20ms -w 50ms {os.environ.get('BAROGRAPH_OPTIONS', '')} -o r -- {command}"
    lowest, highest, step = (int(word) for word in ours[:3])
    for kibibytes in range(lowest, highest + 1, step):
        run(kibibytes, command)


main()
