"""How long the server of `barograph view` takes to answer a page that opens a recording, over HTTP, and what it holds afterwards.

    python3 bench/view.py BAROGRAPH DAY.baro [--moments N] [--opening]

It asks as the page does: for itself, the list, the recording, and then for all panels, six at a time, in the order of the page. Then zooms, moments and
lives. It prints milliseconds to the first byte of each answer, bytes, and the most memory that the server has had. The day is made by

    cargo run --release -p barograph-store --example day -- 200 86400 1 300 day.baro
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import signal
import statistics
import subprocess
import time
import urllib.parse

PIXELS = 1000

parser = argparse.ArgumentParser()
parser.add_argument("barograph")
parser.add_argument("recording")
parser.add_argument("--moments", type=int, default=5)
parser.add_argument("--opening", action="store_true", help="only opening")
options = parser.parse_args()

began = time.perf_counter()
server = subprocess.Popen(
    [options.barograph, "view", "--json", "--port", "0", "--read-only", options.recording], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
)
said = json.loads(server.stdout.readline())
print(f"served after          {1e3 * (time.perf_counter() - began):7.0f} ms, load {os.getloadavg()[0]:.1f}")


def ask(path):
    """Milliseconds to the first byte, and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", said["port"])
    begin = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {said['token']}"})
    answer = connection.getresponse()
    first = 1e3 * (time.perf_counter() - begin)
    body = answer.read()
    connection.close()
    assert answer.status == 200, (path, answer.status, body[:200])
    return first, body


def frame(run, specs, begin, end):
    query = {"from": begin, "to": end, "buckets": PIXELS, "specs": specs}
    return ask(f"/api/runs/{run}/frame?q={urllib.parse.quote(json.dumps(query))}")


def cpu():
    """Seconds of CPU that the server has had, which other load does not change by much."""
    with open(f"/proc/{server.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory():
    with open(f"/proc/{server.pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return " ".join(f"{name} {int(fields[name].split()[0]) / 1024:.0f} MiB" for name in ("VmRSS", "VmHWM"))


try:
    opening = time.perf_counter()
    page, _ = ask("/")
    listed, session = ask("/api/session")
    run = json.loads(session)["first"]
    opened, facts = ask(f"/api/runs/{run}")
    facts = json.loads(facts)
    print(f"page, list, recording {page:7.0f} {listed:.0f} {opened:.0f} ms")
    cards = [card["spec"] for card in facts["cards"]]
    shown = [("overview", cards[:1]), ("cards", cards)] + [(panel["id"], panel["specs"]) for panel in facts["panels"] if panel["shown"]]
    since = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(6) as six:

        def draw(panel):
            first, body = frame(run, panel[1], facts["from"], facts["to"])
            return panel[0], first, len(body), 1e3 * (time.perf_counter() - opening)

        answers = list(six.map(draw, shown))
    for name, first, size, at in answers:
        print(f"  {name:22} {first:7.0f} ms, {size / 1024:6.0f} KiB, there {at:.0f} ms after the page was asked for")
    print(f"first chart {min(at for *_, at in answers):.0f} ms, all {max(at for *_, at in answers):.0f} ms, {cpu():.1f} s of CPU; {memory()}")
    if options.opening:
        raise SystemExit
    for name, length in (("a day", 1.0), ("an hour", 1 / 24), ("ten minutes", 1 / 144)):
        times, sizes = [], []
        for place in range(3):
            span = (facts["to"] - facts["from"]) * length
            begin = facts["from"] + (facts["to"] - facts["from"] - span) * place / 3
            for _, specs in shown:
                first, body = frame(run, specs, begin, begin + span)
                times.append(first)
                sizes.append(len(body))
        print(f"{name:22} median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms, largest {max(sizes) / 1024:.0f} KiB; {memory()}")
    moments = [ask(f"/api/runs/{run}/processes?at={facts['from'] + (facts['to'] - facts['from']) * (place + 1) / (options.moments + 1)}") for place in range(options.moments)]
    print(f"{'moments':22} median {statistics.median(first for first, _ in moments):.0f} ms; {memory()}")
    lives = [(row["pid"], row["startTicks"]) for row in json.loads(moments[0][1])["processes"][:3]]
    times = []
    for pid, start in lives:
        first, life = ask(f"/api/runs/{run}/process?pid={pid}&start={start}")
        times.append(first)
        for panel in json.loads(life)["panels"]:
            times.append(frame(run, panel["specs"], facts["from"], facts["to"])[0])
    print(f"{'three lives':22} median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms; {memory()}")
    spans = [ask(f"/api/runs/{run}/spans?from={facts['from']}&to={facts['to']}")[0] for _ in range(3)]
    print(f"{'spans, thrice':22} {' '.join(f'{first:.0f}' for first in spans)} ms")
finally:
    server.send_signal(signal.SIGINT)
    server.wait()
