"""Kannel as it is measured: Debian's bearerbox and smsbox on a store of their own, one user, one SMPP connection."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from processes import HERE, free_port, wait_for

_CONFIG = """
group = core
admin-port = {admin}
admin-password = bench
admin-interface = 127.0.0.1
smsbox-port = {inner}
box-allow-ip = 127.0.0.1
store-type = {store}
store-location = {place}/store
dlr-storage = internal
log-file = {place}/bearerbox.log
log-level = 3

group = smsc
smsc = smpp
smsc-id = sink
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = tocsin
smsc-password = secret
system-type = bench
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
max-pending-submits = {window}
enquire-link-interval = 30
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {inner}
sendsms-port = {outer}
sendsms-interface = 127.0.0.1
global-sender = 32475000000
log-file = {place}/smsbox.log
log-level = 3

group = sendsms-user
username = load
password = load
concatenation = true
max-messages = 6

group = sms-service
keyword = default
text = "no service"
max-messages = 0
"""

BEARERBOX, SMSBOX = ("bearerbox", "smsbox")


def program(name: str) -> str | None:
    """Where one of Kannel's programs is; None where Kannel is not installed."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def is_installed() -> bool:
    """Whether Kannel is here."""
    return program(BEARERBOX) is not None and program(SMSBOX) is not None


class Kannel:
    """Kannel on a store of the type `file` or `spool`; `receipts`: it asks for them, and tells them to an ear."""

    def __init__(self, place: Path, smpp: int, *, store: str = "file", window: int = 50, receipts: bool = True) -> None:
        self.port = free_port()
        self._admin = free_port()
        self._path = place / "kannel.conf"
        self._inner = free_port()
        (place / "store").mkdir() if store == "spool" else None
        values = {"place": place, "smpp": smpp, "store": store, "window": window}
        self._path.write_text(_CONFIG.format(**values, admin=self._admin, inner=self._inner, outer=self.port))
        self._receipts = receipts
        self._ear: subprocess.Popen[str] | None = None
        self._boxes: list[subprocess.Popen[bytes]] = []
        self._address = ""

    def start(self) -> None:
        """Start both boxes (and the ear); returns when sendsms listens."""
        if self._receipts and self._ear is None:
            pipe = subprocess.PIPE
            command = [sys.executable, str(HERE / "receipts_ear.py")]
            self._ear = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            assert self._ear.stdout is not None
            self._address = f"http://127.0.0.1:{int(self._ear.stdout.readline())}/receipt?state=%d"
        self._box(BEARERBOX, self._admin, self._inner)
        self._box(SMSBOX, self.port)

    def _box(self, name: str, *ports: int) -> None:
        command = [str(program(name)), "-v", "3", str(self._path)]
        quiet = subprocess.DEVNULL
        box = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        self._boxes.append(box)
        for port in ports:
            wait_for(lambda port=port: _listens(port), 20, f"{name} does not listen")

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return [box.pid for box in self._boxes]

    def load_options(self) -> dict[str, str]:
        """What the load client needs to know."""
        return {"receipts": self._address} if self._receipts else {}

    @property
    def heard(self) -> int | None:
        """How many receipts it has passed on; None where it was not to ask for any."""
        if self._ear is None:
            return None
        assert self._ear.stdin is not None
        assert self._ear.stdout is not None
        self._ear.stdin.write("\n")
        self._ear.stdin.flush()
        return int(self._ear.stdout.readline())

    def kill(self) -> None:
        """kill -9, both."""
        for box in self._boxes:
            box.kill()
        for box in self._boxes:
            box.wait(10)
        self._boxes = []

    def stop(self) -> None:
        """In good order, and the ear with it."""
        for box in reversed(self._boxes):
            box.send_signal(signal.SIGTERM)
            try:
                box.wait(10)
            except subprocess.TimeoutExpired:
                box.kill()
                box.wait(10)
        self._boxes = []
        if self._ear is not None:
            assert self._ear.stdin is not None
            self._ear.stdin.close()
            self._ear.wait(10)
            self._ear = None


def _listens(port: int) -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def kannel(smpp: int, **options: object) -> Iterator[Kannel]:
    """Kannel, started in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-kannel-") as place:
        one = Kannel(Path(place), smpp, **options)  # type: ignore[arg-type]
        one.start()
        try:
            yield one
        finally:
            one.stop()
            time.sleep(0)
