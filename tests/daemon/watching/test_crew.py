"""The pool: no host keeps more than its share of the threads, and an end is an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from daemon.watching.crew import Crew


def test_a_host_earns_its_threads_and_loses_them_by_a_failure() -> None:
    crew, gate, changed = Crew(threads=16, at_one=4), threading.Semaphore(0), threading.Condition()
    running, most = [0], [0]

    def visit(well: bool) -> Callable[[], bool]:
        def job() -> bool:
            with changed:
                running[0] += 1
                most[0] = max(most[0], running[0])
                changed.notify_all()
            gate.acquire()
            with changed:
                running[0] -= 1
                changed.notify_all()
            return well

        return job

    def until(count: int) -> None:
        with changed:
            assert changed.wait_for(lambda: running[0] == count, 5)

    for _ in range(12):
        crew.submit("a", visit(True))
    until(1)
    gate.release()
    until(2)
    gate.release(2)
    until(4)
    gate.release(20)
    with changed:
        assert changed.wait_for(lambda: running[0] == 0 and crew.waiting() == 0, 5)
    assert most[0] == 4
    crew.close(1)


def test_hosts_that_hang_leave_half_of_the_threads_to_the_others() -> None:
    crew, hang = Crew(threads=8, at_one=2), threading.Event()
    stuck = threading.Semaphore(0)

    def hangs() -> bool:
        stuck.release()
        hang.wait(30)
        return False

    first = threading.Event()
    crew.submit("good", lambda: bool(first.set()) or True)
    assert first.wait(5)
    for n in range(500):
        crew.submit(f"bad{n}", hangs)
    for _ in range(4):
        assert stuck.acquire(timeout=5)
    assert not stuck.acquire(timeout=0.2)
    done = threading.Semaphore(0)
    for _ in range(50):
        crew.submit("good", lambda: bool(done.release()) or True)
    for _ in range(50):
        assert done.acquire(timeout=5)
    hang.set()
    crew.close(5)


def test_it_ends_at_once_though_a_thousand_visits_wait() -> None:
    crew, hang, begun = Crew(threads=4), threading.Event(), []

    def visit() -> bool:
        begun.append(1)
        hang.wait(30)
        return True

    for n in range(1000):
        crew.submit(f"host{n % 100}", visit)
    began = time.monotonic()
    crew.close(1.0)
    assert time.monotonic() - began < 3
    count = len(begun)
    hang.set()
    crew.submit("late", visit)
    crew.close(1.0)
    assert len(begun) == count <= 4


def test_a_defect_in_one_visit_costs_the_pool_nothing() -> None:
    crew, done = Crew(threads=1), threading.Event()

    def breaks() -> bool:
        raise ZeroDivisionError

    crew.submit("a", breaks)
    crew.submit("a", lambda: bool(done.set()) or True)
    assert done.wait(5)
    crew.close(1)
