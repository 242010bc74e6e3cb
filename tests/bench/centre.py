"""The SMS centre of the measurements: node-smpp, which says of every submit_sm its text and when it came."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from processes import SINK, wait_for


class Centre:
    """A sink of the peers that sends receipts where registered_delivery asks for them."""

    def __init__(self, lines: str, out: IO[bytes], *options: str) -> None:
        command = ["node", str(SINK), "--by", "text", "--brief", "--receipts", *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out)
        self._said = open(lines, "rb")  # noqa: SIM115 - closed by `close`
        self._tail = b""
        self._counts: dict[str, Any] = {}
        self.came: dict[str, int] = {}  # when each text came first
        self.times: Counter[str] = Counter()  # how often each was answered as accepted
        self.port = 0
        wait_for(self._is_listening, 20, "node-smpp does not listen")

    def _is_listening(self) -> bool:
        self._read()
        return self.port != 0

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def _read(self) -> None:
        got = self._tail + self._said.read()
        *lines, self._tail = got.split(b"\n")
        for line in lines:
            said = json.loads(line)
            match said["event"]:
                case "submit":
                    self.came.setdefault(said["text"], said["at"])
                    if not said["status"]:
                        self.times[said["text"]] += 1
                case "listening":
                    self.port = said["port"]
                case "counts":
                    self._counts = said

    def counts(self) -> dict[str, Any]:
        """Its own counters: `accepted`, `receipts` (those that were answered), `binds` and others."""
        self._counts = {}
        assert self._process.stdin is not None
        self._process.stdin.write(b'{"do":"counts"}\n')
        self._process.stdin.flush()

        def has_come() -> bool:
            self._read()
            return bool(self._counts)

        wait_for(has_come, 60, "node-smpp does not say its counts", pause=0.002)
        return self._counts

    def forget(self) -> None:
        """Begin anew: nothing has come."""
        assert self._process.stdin is not None
        self.counts()
        self._process.stdin.write(b'{"do":"reset"}\n')
        self._process.stdin.flush()
        self.counts()
        self.came.clear()
        self.times.clear()

    def until(self, seconds: float, *, pause: float = 0.1, **wanted: int) -> bool:
        """Wait until each of these counters is as large as that; whether it came so far in time."""
        end = time.monotonic() + seconds
        while True:
            counts = self.counts()
            if all(counts[name] >= value for name, value in wanted.items()):
                return True
            if time.monotonic() > end:
                return False
            time.sleep(pause)

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(10)
        self._said.close()


@contextlib.contextmanager
def centre(*options: str) -> Iterator[Centre]:
    """A centre, until the end."""
    with tempfile.NamedTemporaryFile(prefix="tocsin-bench-", suffix=".jsonl") as file, open(file.name, "wb") as out:
        one = Centre(file.name, out, *options)
        try:
            yield one
        finally:
            one.close()
