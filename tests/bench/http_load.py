"""An HTTP load client: single SMS over kept-alive connections, as fast as they go or at a steady rate.

Run as a process of its own, so that its processor time is nobody else's; it writes requests made beforehand and looks
at no more of an answer than its status and its length, so that it costs little beside what it measures:

    python tests/bench/http_load.py kannel PORT --messages 20000 --connections 50 [--rate 500] [--tag X]

`kannel` asks as Kannel's sendsms is asked (GET), `tocsin` as `POST /api/v1/messages` is. Each message says a text of
its own, which begins with `TAG number`. Prints one JSON document: for every message the monotonic instant (ns, the same
clock in every process of a machine) at which it was to be sent, the one at which its answer came (null where the server
went away before), and the answer's status.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote, urlencode

import uvloop

#: As long as people's texts are.
WORDS = "Dinner is at eight tonight, table six, under my name."


def numbers() -> Iterator[str]:
    """Mobile numbers of Belgium, a hundred thousand of them in turn."""
    return (f"+3247{n:07}" for n in itertools.cycle(range(5_000_000, 5_100_000)))


def kannel_request(port: int, to: str, text: str, receipts: str) -> bytes:
    """A GET of sendsms; `receipts` is the address Kannel is to ask when a receipt comes, empty for none."""
    fields = {"username": "load", "password": "load", "to": to, "text": text}
    if receipts:
        fields |= {"dlr-mask": "3", "dlr-url": receipts}
    query = urlencode(fields, quote_via=quote)
    return f"GET /cgi-bin/sendsms?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def tocsin_request(port: int, to: str, text: str, token: str) -> bytes:
    """A POST of one message."""
    body = json.dumps({"sms": [to], "text": text}).encode()
    head = (
        f"POST /api/v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Load:
    """What is to be sent, and what became of it."""

    def __init__(self, requests: list[tuple[str, bytes]], rate: float) -> None:
        self.requests = requests
        self.rate = rate
        self.results: dict[str, list[int | None]] = {}
        self.idle: deque[Connection] = deque()
        self.waiting: deque[tuple[int, int]] = deque()  # the instant at which it was to be sent, and which
        self.next = 0
        self.open = 0
        self.done = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Send the first."""
        if self.rate:
            self._loop = asyncio.get_running_loop()
            self._began = self._loop.time()
            self._at_its_time()
        else:
            for connection in list(self.idle):
                self.free(connection)

    def free(self, connection: Connection) -> None:
        """This connection may send."""
        if self.rate:
            if self.waiting:
                connection.send(*self.waiting.popleft())
            else:
                self.idle.append(connection)
        elif self.next < len(self.requests):
            self.next += 1
            connection.send(time.monotonic_ns(), self.next - 1)

    def _at_its_time(self) -> None:
        now = self._loop.time()
        while self.next < len(self.requests) and self._began + self.next / self.rate <= now:
            stamp = time.monotonic_ns()
            if self.idle:
                self.idle.popleft().send(stamp, self.next)
            else:
                self.waiting.append((stamp, self.next))
            self.next += 1
        if self.next < len(self.requests) and self.open:
            self._loop.call_at(self._began + self.next / self.rate, self._at_its_time)

    def answered(self, stamp: int, which: int, status: int) -> None:
        """One has its answer."""
        self.results[self.requests[which][0]] = [stamp, time.monotonic_ns(), status]
        if len(self.results) == len(self.requests) and not self.done.done():
            self.done.set_result(None)

    def lost(self, stamp: int | None, which: int) -> None:
        """A connection is gone, perhaps with a request that has no answer."""
        if stamp is not None:
            self.results[self.requests[which][0]] = [stamp, None, None]
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._stamp: int | None = None
        self._which = 0
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.open += 1
        self._load.idle.append(self)

    def send(self, stamp: int, which: int) -> None:
        """Send this request, which was to be sent at that instant."""
        self._stamp, self._which = stamp, which
        self._transport.write(self._load.requests[which][1])

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._got[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._got) < end + 4 + length:
            return
        status = int(self._got[9:12])
        if status >= 300 and not self._load.done.done():
            sys.stderr.write(f"refused: {self._got[:400]!r}\n")
        self._got = b""
        stamp, self._stamp = self._stamp, None
        assert stamp is not None, "an answer to nothing"
        self._load.answered(stamp, self._which, status)
        self._load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self._stamp, self._which)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """Send them all, or as many as the server lives for."""
    requests = []
    for n, to in zip(range(args.messages), numbers(), strict=False):
        text = f"{args.tag} {n} {WORDS}"
        if args.kind == "kannel":
            requests.append((text, kannel_request(args.port, to, text, args.receipts)))
        else:
            requests.append((text, tocsin_request(args.port, to, text, args.token)))
    load = Load(requests, args.rate)
    loop = asyncio.get_running_loop()
    for _ in range(args.connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", args.port)
    load.begin()
    await load.done
    return load.results


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["kannel", "tocsin"])
    parser.add_argument("port", type=int)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second; 0: as fast as they go")
    parser.add_argument("--tag", default="load")
    parser.add_argument("--token", default="", help="a bearer token of Tocsin's")
    parser.add_argument("--receipts", default="", help="the address Kannel is to ask when a receipt comes")
    args = parser.parse_args()
    json.dump(uvloop.run(run(args)), sys.stdout)


if __name__ == "__main__":
    main()
