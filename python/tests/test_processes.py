"""Worker processes, however they begin: what they say arrives, and what is left open is told."""

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import barograph
from barograph._program import program
from conftest import by_name, only, python


def work(number):
    with barograph.span("work", number=number):
        barograph.mark("worked", number=number)
    return os.getpid()


def dies(how):
    with barograph.span("dies"):
        barograph.flush()
        time.sleep(0.3)
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL)


def seen(told, pids, many):
    spans, events = by_name(told().spans()), by_name(told().events())
    assert len(spans["work"]) == len(events["worked"]) == many
    assert {span["pid"] for span in spans["work"]} == {event["pid"] for event in events["worked"]} == set(pids)
    assert {span["status"] for span in spans["work"]} == {"ok"}
    assert len({span["span"] for span in spans["work"]}) == many, "ids of children of one process differ"
    return spans["work"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool(recorded, method):
    with recorded() as told:
        with multiprocessing.get_context(method).Pool(3) as pool:
            pids = pool.map(work, range(50), chunksize=1)
            pool.close()
            pool.join()
    assert os.getpid() not in pids
    seen(told, pids, 50)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_executor(recorded, method):
    with recorded() as told:
        with barograph.span("outer") as outer:
            outer = outer.id
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
                pids = list(pool.map(work, range(20)))
    spans = seen(told, pids, 20)
    # A forked child begins where its parent was, a spawned one anew.
    assert {span["parent"] for span in spans} == ({outer} if method == "fork" else {None})


def test_joblib(recorded):
    joblib = pytest.importorskip("joblib")
    with recorded() as told:
        pids = joblib.Parallel(n_jobs=2)(joblib.delayed(work)(number) for number in range(20))
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown()
    seen(told, pids, 20)


def produce(queue, number):
    for item in range(5):
        with barograph.span("load", worker=number):
            queue.put(item)
    queue.close()


def test_workers_that_feed_a_queue(recorded):
    """As those of a DataLoader do."""
    with recorded() as told:
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        workers = [context.Process(target=produce, args=(queue, number)) for number in range(3)]
        for worker in workers:
            worker.start()
        for _ in range(15):
            with barograph.span("step"):
                queue.get(timeout=30)
        for worker in workers:
            worker.join()
    spans = by_name(told().spans())
    assert len(spans["step"]) == 15 and {span["pid"] for span in spans["step"]} == {os.getpid()}
    assert len(spans["load"]) == 15 and {span["pid"] for span in spans["load"]} == {worker.pid for worker in workers}


class Numbers:
    """A data set of PyTorch."""

    def __len__(self):
        return 40

    def __getitem__(self, number):
        return number, work(number)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_data_loader(recorded, method):
    loader = pytest.importorskip("torch.utils.data", reason="too large to be installed for this").DataLoader
    with recorded() as told:
        batches = list(loader(Numbers(), batch_size=4, num_workers=2, multiprocessing_context=method))
    assert sorted(int(number) for numbers, _ in batches for number in numbers) == list(range(40))
    pids = {int(pid) for _, pids in batches for pid in pids}
    assert len(pids) == 2 and os.getpid() not in pids
    seen(told, pids, 40)


def bursts(many):
    for _ in range(many):
        barograph.mark("burst")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_last_words_of_a_worker_are_heard(recorded, method):
    """More at once than the socket has room for, and then the end."""
    with recorded() as told:
        workers = [multiprocessing.get_context(method).Process(target=bursts, args=(1500,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert told().events()["name"].count("burst") == 3 * 1500
    assert not [notice for notice in told().facts["notices"] if notice["name"].startswith("beacon")]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_worker_that_dies_leaves_its_span_open(recorded, method, how):
    with recorded() as told:
        worker = multiprocessing.get_context(method).Process(target=dies, args=(how,))
        worker.start()
        worker.join()
        time.sleep(2)
    assert worker.exitcode == {"exit": 3, "kill": -signal.SIGKILL}[how]
    span = only(told().spans("dies"))
    assert (span["status"], span["pid"]) == ("open", worker.pid)
    left = told().end - span["end_time"]
    assert left.total_seconds() > 0.4, "it ends with its process, and not with the recording"


def test_a_forked_child_leaves_the_recording_to_its_parent(tmp_path):
    recorder = barograph.record(tmp_path / "run", interval=0.05)
    own = tmp_path / "own"
    with recorder:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert not recorder.running
                barograph.mark("from the child")
                recorder.stop()
                assert not own.exists()
                with barograph.record(own, interval=0.05) as mine:
                    assert mine.running
                    barograph.mark("of my own")
                assert mine.recording.state == "ended"
                barograph.mark("again to the parent's")
                barograph.flush()
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert recorder.running
    assert recorder.recording.state == "ended"
    said = [(event["name"], event["pid"]) for event in recorder.recording.events() if event["by"] == "program"]
    assert said == [("from the child", child), ("again to the parent's", child)]
    own = barograph.open(own.with_suffix(".baro"))
    assert [event["name"] for event in own.events() if event["by"] == "program"] == ["of my own"]


def test_a_child_that_lives_on_does_not_keep_the_recording(tmp_path):
    with barograph.record(tmp_path / "run", interval=0.05) as recorder:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        subprocess.run([program(), "mark", "afterwards", "--to", recorder.path, "--at", "end"], check=True)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert "afterwards" in by_name(barograph.open(recorder.path).events())


def test_a_child_that_leaves_the_block_does_not_end_the_recording(tmp_path):
    code = """
        import os, sys, time, barograph
        child = 1
        with barograph.record(sys.argv[1], interval=0.05) as recorder:
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                assert recorder.running
        if child:
            assert recorder.recording.state == "ended"
        else:
            assert barograph.open(recorder.path).state == "live"
    """
    python(textwrap.dedent(code), tmp_path / "run")


def test_programs_that_we_start_are_heard(recorded):
    code = "import barograph\nwith barograph.span('child'): barograph.mark('hello')"
    with recorded() as told:
        python(code)
    assert {"child", "hello"} <= {*told().spans()["name"], *told().events()["name"]}
    assert "BAROGRAPH_BEACON" not in os.environ


def test_a_program_under_barograph_run(tmp_path):
    code = """
        import multiprocessing, os, barograph
        from barograph import span
        def work(number):
            with span("work"): pass
        if __name__ == "__main__":
            assert barograph.is_on()
            with span("main"):
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    pool.map(work, range(10)); pool.close(); pool.join()
            barograph.mark("last")
    """
    ran = barograph.run([sys.executable, "-c", textwrap.dedent(code)], tmp_path / "run", interval=0.05)
    assert ran.exit_status == 0
    spans = by_name(ran.recording.spans())
    assert len(spans["work"]) == 10 and {span["parent"] for span in spans["work"]} == {only(spans["main"])["span"]}
    assert "last" in ran.recording.events()["name"], "what is said last is heard"
