"""One message to a hundred thousand numbers by the API, and what it means for everybody else.

    python tests/bench/fanout.py [--numbers 100000] [--window 200] [--store URL] [--receipts]

Prints how long the API took to answer, segments a second from the first submit_sm to the last, the daemon's processor
time a segment and its greatest memory; and for single messages of another account sent meanwhile, one every half
second, how long they took to the SMS centre and how many segments of the long list came between.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from bisect import bisect
from collections.abc import Iterator
from typing import Any

import ours
from centre import centre
from processes import most_memory, processor_seconds
from sqlalchemy import Connection

from daemon.assemble import open_store
from daemon.config import load
from gateway import tokens


def post(port: int, token: str, body: dict[str, Any]) -> tuple[int, float]:
    """The status, and how many seconds the answer took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    octets = json.dumps(body)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/api/v1/messages", octets, headers)
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - began
    connection.close()
    return answer.status, seconds


def another_token(one: ours.Tocsin) -> str:
    """A token of a second account."""
    store = open_store(load(one._path))

    def make(connection: Connection) -> str:
        from datetime import UTC, datetime

        return tokens.add(connection, "a1", "single", now=datetime.now(UTC))

    try:
        return store.run_now(make)
    finally:
        store.close()


class Singles:
    """Single messages of another account, one every half second, until stopped."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self.asked: dict[str, tuple[int, int]] = {}  # text: when it was asked for, and when it was answered
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        n = 0
        while not self._stop.wait(0.5):
            text = f"single {(n := n + 1)}"
            began = time.monotonic_ns()
            status, _ = post(self._port, self._token, {"sms": [f"+3248600{n:04}"], "text": text})
            assert status == 202, status
            self.asked[text] = began, time.monotonic_ns()

    def stop(self) -> None:
        """No more."""
        self._stop.set()
        self._thread.join()


def lines(path: str) -> Iterator[dict[str, Any]]:
    """What the sink said, line by line."""
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def measure(numbers: int, window: int, store: str, *, receipts: bool) -> None:
    """One run, and its lines."""
    with centre() as sink, ours.tocsin(sink.port, window=window, store=store, receipts=receipts) as one:
        sink.until(20, binds=1)
        token, other = one.load_options()["token"], another_token(one)
        assert post(one.port, token, {"sms": ["+32475999999"], "text": "warm"})[0] == 202
        sink.until(20, accepted=1)
        before = sum(map(processor_seconds, one.pids))
        singles = Singles(one.port, other)
        body = {"sms": [f"+32475{n:06}" for n in range(numbers)], "text": "list"}
        status, seconds = post(one.port, token, body)
        assert status == 202, status
        said = sink._said.name
        sink.until(600, pause=1.0, accepted=numbers + 1)
        singles.stop()
        sink.until(60, accepted=numbers + 1 + len(singles.asked))
        if receipts:
            sink.until(600, pause=1.0, receipts=numbers)
        used = sum(map(processor_seconds, one.pids)) - before
        memory = sum(map(most_memory, one.pids)) / 2**20
        come = [(line["text"], line["at"]) for line in lines(str(said)) if line["event"] == "submit"]
    of_list = sorted(at for text, at in come if text == "list")
    took = (of_list[-1] - of_list[0]) / 1e9
    print(f"{numbers:,} numbers, window {window}, {store.partition(':')[0] or 'sqlite'}, receipts {receipts}")
    print(f"  the API answered 202 after {seconds:.2f} s")
    print(f"  {numbers / took:,.0f} segments a second, {used / numbers * 1e6:.0f} us CPU each, {memory:.0f} MB at most")
    delays, between = [], []
    for text, at in come:
        if text in singles.asked and of_list[0] < singles.asked[text][0] < of_list[-1]:
            began, answered = singles.asked[text]
            delays.append((at - began) / 1e6)
            between.append(bisect(of_list, at) - bisect(of_list, min(answered, at)))
    if delays:
        print(
            f"  {len(delays)} single messages of another account meanwhile: request to SMS centre {min(delays):.0f} to "
            f"{max(delays):.0f} ms; after the answer, at most {max(between)} segments of the list came before it"
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--numbers", type=int, default=100_000)
    parser.add_argument("--window", type=int, default=200)
    parser.add_argument("--store", default="", help="another store than SQLite, as a database URL")
    parser.add_argument("--receipts", action="store_true")
    options = parser.parse_args()
    measure(options.numbers, options.window, options.store, receipts=options.receipts)


if __name__ == "__main__":
    main()
