"""Runs a command, records it, and reads the recording with no other library."""

from __future__ import annotations

import sys

import barograph


def main(command: list[str]) -> int:
    ran = barograph.run(command, "command.baro", interval=0.05, force=True)
    run: barograph.Recording = ran.recording
    job: barograph.Table = run["job"]
    peak = max((value for value in job["resident_bytes"] if value is not None), default=0)
    summary = run.summary()
    print(f"{run.state} after {run.seconds} s with {ran.exit_status}; {peak / 1e6:.1f} MB at most; {summary['job']['cpu']['total']} s CPU")
    for process in run.table("processes", columns=["pid", "name"]):
        print(process["pid"], process["name"])
    return ran.exit_status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or [sys.executable, "-c", "print(sum(range(10_000_000)))"]))
