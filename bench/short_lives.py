"""Does the recorder's memory grow with the number of processes that the job ever had?

    python bench/short_lives.py [PROCESSES]     a million by default, some minutes

Needs `cargo build --release -p barograph-cli --bins` and cc. The job keeps twenty children alive and replaces the oldest by a new one as fast as it goes;
the recorder looks a hundred times a second, so that it meets many of them. Prints its memory at each tenth.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BAROGRAPH = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "barograph"

JOB = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#define ALIVE 20
int main(int count, char **arguments) {
    pid_t children[ALIVE] = {0};
    long processes = atol(arguments[1]);
    for (long number = 0; number < processes; number++) {
        pid_t *child = &children[number % ALIVE];
        if (*child) { kill(*child, SIGKILL); waitpid(*child, 0, 0); }
        *child = fork();
        if (*child == 0) { pause(); _exit(0); }
        if (number % (processes / 10) == 0) { printf("%ld\\n", number); fflush(stdout); }
    }
    for (int i = 0; i < ALIVE; i++) { kill(children[i], SIGKILL); waitpid(children[i], 0, 0); }
    printf("%ld\\n", processes);
    return 0;
}
"""


def memory(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssAnon", "VmHWM"))}


def main():
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["cc", "-O2", "-x", "c", "-", "-o", f"{place}/job"], input=JOB, text=True, check=True)
        command = [BAROGRAPH, "run", "-q", "-i", "10ms", "-w", "1s", "-o", "run", "--", f"{place}/job", str(processes)]
        recorder = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True)
        began = time.monotonic()
        print("processes  seconds  RSS KiB  anonymous KiB  peak KiB", flush=True)
        for line in recorder.stdout:
            if recorder.poll() is None:
                now = memory(recorder.pid)
                print(f"{int(line):9}  {time.monotonic() - began:7.0f}  {now['VmRSS']:7}  {now['RssAnon']:13}  {now['VmHWM']:8}", flush=True)
        recorder.wait()
        facts = json.loads(pathlib.Path(place, "run.baro", "recording.json").read_text())
        size = sum(path.stat().st_size for path in pathlib.Path(place, "run.baro").rglob("*") if path.is_file())
        seen, missed = facts["end"]["totals"]["processes_seen"], [notice for notice in facts["notices"] if notice["name"] == "missed_ticks"]
        print(f"status {recorder.returncode}; {seen} processes seen; {size} bytes; {missed}")


if __name__ == "__main__":
    main()
