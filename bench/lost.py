"""Kills recorders and cuts the power under them, at random moments, and looks at what is left with pyarrow, DuckDB and the program itself.

    python bench/lost.py kill [KILLS]           kill -9, at 1, 10 and 100 Hz
    python bench/lost.py power-cut [STATES]     legal states after a power cut, at the same rates; only root can mount the disk

Needs `cargo build --release -p barograph-cli --bins` and, for power cuts, `--example power_cut -p barograph-test-disk`; and pyarrow and duckdb.
TMPDIR says on which disk; a slow one lengthens what is missing by the time that it takes for a write.

What must hold: every published part opens and is whole, no more than a write interval is missing, and neither `repair`, `report`, `ls` nor the next
recording in that place is disturbed. Prints numbers, and ends with status 1 if anything did not hold.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import duckdb
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BAROGRAPH = os.environ.get("BAROGRAPH", TARGET / "barograph")
POWER_CUT = TARGET / "examples" / "power_cut"

# Ticks a second: the interval, the write interval, the longest life in seconds, and the share of all trials.
RATES = {100: ("10ms", 0.1, 1.2, 0.6), 10: ("100ms", 0.5, 3.0, 0.2), 1: ("1s", 2.0, 6.0, 0.2)}
WORKERS = 12

# What a write may take on a machine on which a dozen recorders run; only what is missing beyond it is a fault.
SLACK = 0.5

# A job that does a little of everything: processes that come and go, memory, files.
JOB = ["sh", "-c", "while :; do head -c 300000 /dev/zero > scratch; sleep 0.03; done"]


def boot_seconds():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def barograph(*arguments):
    return subprocess.run([BAROGRAPH, *map(str, arguments)], capture_output=True, text=True, timeout=60)


class Tally:
    """What was seen: counts, faults, and for each rate how much was missing."""

    def __init__(self):
        self.lock = threading.Lock()
        self.parts = self.rows = self.recordings = self.young = self.repaired = 0
        self.missing = {rate: [] for rate in RATES}
        self.faults = []
        self.slack = SLACK

    def fault(self, text):
        with self.lock:
            self.faults.append(text)


def check(recording, rate, ended_at, tally, promised):
    """Looks at one recording whose recorder died at a moment; `promised` says whether a write interval had passed by then."""
    write_interval = RATES[rate][1]
    name = f"{rate} Hz, {recording}"
    database = duckdb.connect()
    last, parts, rows = None, 0, 0
    for part in sorted(recording.glob("*/*.parquet")):
        if part.name.startswith("."):
            continue
        try:
            table = pyarrow.parquet.read_table(part)
            table.validate(full=True)
            monotonic = table.column("monotonic_nanos").to_pylist()
            found = database.execute("select count(*), max(monotonic_nanos), count(columns(*)) from read_parquet(?)", [str(part)]).fetchone()
            if found[:2] != (len(monotonic), max(monotonic)):
                tally.fault(f"{name}: {part} has {len(monotonic)} rows for pyarrow and {found[0]} for DuckDB")
        except Exception as error:
            if promised:
                tally.fault(f"{name}: {part}: {error}")
            continue
        parts, rows = parts + 1, rows + len(monotonic)
        if part.parent.name == "own":
            last = max(last or 0, max(monotonic))
    with tally.lock:
        tally.recordings += 1
        tally.parts += parts
        tally.rows += rows
        if promised and last is not None:
            tally.missing[rate].append(ended_at - last / 1e9)
            if tally.missing[rate][-1] > write_interval + tally.slack:
                tally.faults.append(f"{name}: {tally.missing[rate][-1]:.3f} s are missing")
        elif not promised:
            tally.young += 1
    if promised and last is None:
        tally.fault(f"{name}: nothing was published in the first write interval")
    report = barograph("report", "--json", recording)
    if promised and report.returncode != 0:
        tally.fault(f"{name}: report: {report.stderr}")
    first, second = barograph("repair", recording), barograph("repair", recording)
    if promised and (first.returncode or second.returncode or "nothing had to be mended" not in second.stdout + second.stderr):
        tally.fault(f"{name}: repair: {first.stderr} {second.stdout} {second.stderr}")
    elif promised and ("can't be read" in first.stdout or "made anew" in first.stdout):
        tally.fault(f"{name}: repair found damage: {first.stdout}")
    with tally.lock:
        tally.repaired += first.returncode == 0


def kill_one(rate, folder, tally, dice):
    interval, write_interval, longest, _ = RATES[rate]
    # One name for all: each recording begins beside those that were cut off.
    command = [BAROGRAPH, "run", "-q", "-i", interval, "-w", f"{write_interval}s", "-o", folder / "run", "--", *JOB]
    work = pathlib.Path(tempfile.mkdtemp(dir=folder, prefix=".work-"))
    before = set(folder.glob("*.baro"))
    recorder = subprocess.Popen(command, cwd=work, start_new_session=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(dice.uniform(0, longest))
    killed_at = boot_seconds()
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    with contextlib.suppress(ProcessLookupError):  # Killed before the job began.
        os.killpg(recorder.pid, signal.SIGKILL)
    for recording in set(folder.glob("*.baro")) - before:
        try:
            facts = json.loads((recording / "recording.json").read_text())
        except FileNotFoundError:
            # Killed between the making of the folder and that of its first file, or another's that was; or looked at and removed.
            continue
        if facts["recorder"]["pid"] != recorder.pid:
            continue
        began = facts["clock"]["monotonic_nanos"] / 1e9
        check(recording, rate, killed_at, tally, killed_at - began > write_interval + SLACK)
        shutil.rmtree(recording) if dice.random() < 0.5 else None
    shutil.rmtree(work)


def kill(count, tally):
    dice = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="lost-") as place, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        folder = pathlib.Path(place)
        rates = [rate for rate, (*_, share) in RATES.items() for _ in range(round(count * share))]
        dice.shuffle(rates)
        trials = [pool.submit(kill_one, rate, folder, tally, random.Random(number)) for number, rate in enumerate(rates)]
        for trial in trials:
            trial.result()
        listed = barograph("ls", "--json", folder)
        left = len(list(folder.glob("*.baro")))
        if listed.returncode != 0 or len(json.loads(listed.stdout)) != left:
            tally.fault(f"ls: {listed.stderr}")
        after = barograph("run", "-q", "-o", folder / "run", "--", "true")
        if after.returncode != 0:
            tally.fault(f"the next recording: {after.stderr}")
        print(f"{len(rates)} kills; {left} recordings left in one folder, all listed; the next recording there ended with status {after.returncode}")


def power_cut(count, tally):
    # How long a write takes on a disk in user space says nothing; what was promised by then, `store: power_cut` knows to the row.
    tally.slack = float("inf")
    for rate, (interval, write_interval, longest, share) in RATES.items():
        with tempfile.TemporaryDirectory(prefix="lost-") as place, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            states = pathlib.Path(place)
            record = [BAROGRAPH, "run", "-q", "-i", interval, "-w", f"{write_interval}s", "-o", "run", "--", "sh", "-c", f"cd /tmp; sleep {3 * longest}"]
            subprocess.run([POWER_CUT, states, str(round(count * share)), "--", *record], check=True)
            for state in states.iterdir():
                if (state / "run.baro").is_dir():
                    cut_at = json.loads((state / "cut.json").read_text())["boot_nanos"] / 1e9
                    began = json.loads((states / "began.json").read_text())["boot_nanos"] / 1e9
                    pool.submit(check, state / "run.baro", rate, cut_at, tally, cut_at - began > write_interval + SLACK)
            pool.shutdown()


def main():
    mode, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    tally = Tally()
    began = time.monotonic()
    {"kill": kill, "power-cut": power_cut}[mode](count, tally)
    print(f"{tally.recordings} recordings looked at, {tally.young} of them younger than a write interval; {tally.parts} parts with {tally.rows} rows opened "
          f"in pyarrow and DuckDB; {tally.repaired} repaired; {time.monotonic() - began:.0f} s")
    for rate, missing in tally.missing.items():
        write_interval = RATES[rate][1]
        if missing:
            over = sum(seconds > write_interval for seconds in missing)
            print(f"{rate:3} Hz, write interval {write_interval} s: {len(missing)} cuts, missing median {statistics.median(missing):.3f} s, "
                  f"most {max(missing):.3f} s; {over} above the write interval")
    for fault in tally.faults:
        print("FAULT", fault)
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
