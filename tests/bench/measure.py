"""What is measured of a gateway, whichever it is: full speed, a steady rate, and what kill -9 leaves.

A run has a warm-up, then as many messages as go, then a steady rate, on one store that was empty before. Processor time
is that of all processes of the gateway, from before the first request until every receipt is dealt with and nothing
happens any more; latency is from the instant at which a request was to be sent until node-smpp has its submit_sm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from centre import Centre
from processes import HERE, most_memory, processor_seconds

WARM = 500
#: Seconds until everything that was sent has come; more means that something is lost.
PATIENCE = 180.0

Sent = Mapping[str, list[Any]]


class Gateway(Protocol):
    """Kannel, or Tocsin."""

    port: int

    @property
    def pids(self) -> list[int]:
        """Its processes."""

    @property
    def heard(self) -> int | None:
        """Receipts it has passed on; None where it keeps them itself."""

    def load_options(self) -> dict[str, str]:
        """What the load client needs to know."""

    def start(self) -> None:
        """Start it."""

    def kill(self) -> None:
        """kill -9."""


@dataclass(frozen=True, slots=True)
class Flood:
    """As fast as they go: messages a second from the first accepted request to the last submit_sm, CPU ms of each."""

    rate: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Steady:
    """At a steady rate: CPU ms of a message, and milliseconds from request to SMS centre."""

    cpu: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run; memory in MB, the most there was, all processes together."""

    flood: Flood
    steady: Steady
    memory: float


@dataclass(frozen=True, slots=True)
class Crash:
    """What kill -9 left: of those that were answered as taken, which never came; and how many came once too often."""

    taken: int
    before: int
    missing: tuple[str, ...]
    doubled: int


class Course:
    """One gateway and one centre; `by` is how the load client asks: kannel, tocsin, or smtp."""

    def __init__(self, gateway: Gateway, centre: Centre, by: str, *, receipts: bool, port: int = 0) -> None:
        self.gateway = gateway
        self.centre = centre
        self._by = by
        self._receipts = receipts
        self._port = port or gateway.port

    def run(self, messages: int, rate: float, seconds: float) -> Run:
        """Warm up, then both loads."""
        self.centre.until(20, binds=1)
        self._round(min(WARM, messages), "warm")
        flood = self.flood(messages)
        steady = self.steady(int(rate * seconds), rate)
        return Run(flood, steady, sum(map(most_memory, self.gateway.pids)) / 2**20)

    def flood(self, messages: int) -> Flood:
        """So many, as fast as they go."""
        sent, used = self._round(messages, "flood")
        first = min(answered for _, answered, *_ in sent.values())
        last = max(self.centre.came[text] for text in sent)
        return Flood(messages / ((last - first) / 1e9), used / messages * 1000)

    def steady(self, messages: int, rate: float) -> Steady:
        """So many, each at its time."""
        sent, used = self._round(messages, "steady", rate)
        delays = sorted(self.centre.came[text] - begun for text, (begun, *_) in sent.items())
        quantile = [delays[min(len(delays) - 1, int(len(delays) * part))] / 1e6 for part in (0.5, 0.99)]
        return Steady(used / messages * 1000, *quantile)

    def _round(self, messages: int, tag: str, rate: float = 0.0) -> tuple[Sent, float]:
        """Send them and wait for the last receipt: what was sent, and processor seconds of the gateway."""
        self.centre.forget()
        heard = self.gateway.heard
        before = self.processor_seconds()
        sent: Sent = json.loads(self._client(messages, tag, rate).communicate(timeout=600)[0])
        refused = [text for text, (_, _, *status) in sent.items() if status and (status[0] or 999) >= 300]
        if refused:
            raise SystemExit(f"{len(refused)} of {messages} requests were refused, {refused[0]!r} first")
        wanted = {"accepted": messages} | ({"receipts": messages} if self._receipts else {})
        if not self.centre.until(PATIENCE, **wanted):
            raise SystemExit(f"of {messages} messages only these came: {self.centre.counts()}")
        if heard is not None and self._receipts:
            _until(lambda: (self.gateway.heard or 0) - heard >= messages, 60)
        self._quiet()
        return sent, self.processor_seconds() - before

    def _client(self, messages: int, tag: str, rate: float = 0.0) -> subprocess.Popen[bytes]:
        if self._by == "smtp":
            words = [str(HERE / "load.py"), str(self._port), "--mails", str(messages), "--connections", "50"]
            words += ["--senders", "1"]
        else:
            words = [str(HERE / "http_load.py"), self._by, str(self._port), "--messages", str(messages)]
            words += [word for name, value in self.gateway.load_options().items() for word in (f"--{name}", value)]
        command = [sys.executable, *words, "--tag", tag, "--rate", str(rate)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def processor_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return sum(map(processor_seconds, self.gateway.pids))

    def _quiet(self) -> None:
        """Returns when it does nothing any more."""
        end = time.monotonic() + 10
        before = self.processor_seconds()
        while time.monotonic() < end:
            time.sleep(0.3)
            now = self.processor_seconds()
            if now - before < 0.025:
                return
            before = now

    def crash(self, messages: int, settled: Callable[[], bool]) -> Crash:
        """Kill it when half of them have come, start it again, and count when it has `settled`."""
        self.centre.until(20, binds=1)
        self.centre.forget()
        client = self._client(messages, "crash")
        self.centre.until(60, pause=0.01, accepted=messages // 2)
        self.gateway.kill()
        sent: Sent = json.loads(client.communicate(timeout=60)[0])
        before = self.centre.counts()["accepted"]
        self.gateway.start()
        _until(settled, 60)
        self.centre.counts()
        taken = [text for text, (_, answered, *_) in sent.items() if answered is not None]
        times = self.centre.times
        missing = tuple(text for text in taken if not times[text])
        return Crash(len(taken), before, missing, sum(n - 1 for n in times.values()))

    def stands_still(self, seconds: float = 3.0) -> Callable[[], bool]:
        """Whether nothing more has come for so long."""
        state = {"accepted": -1, "since": time.monotonic()}

        def settled() -> bool:
            accepted = self.centre.counts()["accepted"]
            if accepted != state["accepted"]:
                state["accepted"], state["since"] = accepted, time.monotonic()
            return time.monotonic() - state["since"] > seconds

        return settled


def _until(come: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not come():
        if time.monotonic() > end:
            raise SystemExit("it did not come to rest")
        time.sleep(0.1)
