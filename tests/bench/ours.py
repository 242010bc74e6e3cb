"""Tocsin as it is measured: one daemon on a store of its own, accounts that pay, one SMPP connection."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from processes import TOCSIN, family, free_port, notified
from sqlalchemy import Connection

from daemon.assemble import open_store
from daemon.config import load
from gateway import accounts, credit, tokens
from gateway.store import migrate

_CONFIG = """
[store]
url = "{store}"

[listen]
smtp = "127.0.0.1:{smtp}"
sms_domain = "sms.example.org"
trusted_networks = ["127.0.0.1"]

[console]
listen = "127.0.0.1:{http}"

[[route]]
name = "sink"
channels = ["sms"]
transport = "smpp"
host = "127.0.0.1"
port = {smpp}
window = {window}
receipts = {receipts}
sender = "32475000000"
on_unknown = "{on_unknown}"
unknown_wait = "PT3S"

[log]
level = "{level}"
"""
BOUGHT = 1_000_000


class Tocsin:
    """The daemon; `store` is a database's URL, SQLite in the folder where it is empty."""

    def __init__(
        self,
        place: Path,
        smpp: int,
        *,
        store: str = "",
        window: int = 50,
        receipts: bool = True,
        on_unknown: str = "resend",
        level: str = "info",
    ) -> None:
        self.port, self.smtp = free_port(), free_port()
        self.url = store or f"sqlite:///{place / 'tocsin.db'}"
        self._place = place
        self._path = place / "tocsin.toml"
        values = {"store": self.url, "http": self.port, "smtp": self.smtp, "smpp": smpp, "window": window}
        values |= {"receipts": str(receipts).lower(), "on_unknown": on_unknown, "level": level}
        self._path.write_text(_CONFIG.format(**values))
        self._token = self._people()
        self._process: subprocess.Popen[bytes] | None = None

    def _people(self) -> str:
        """An account that the API knows, and those mails come from; the token of the first."""
        store = open_store(load(self._path))
        migrate.migrate(store.engine)

        def make(connection: Connection) -> str:
            now = datetime.now(UTC)
            for n in range(10):
                account = accounts.add(connection, f"a{n}", now=now, addresses=[f"a{n}@example.org"])
                credit.buy(connection, account, BOUGHT, reason="for the benchmark", now=now)
            return tokens.add(connection, "a0", "load", now=now)

        try:
            return store.run_now(make)
        finally:
            store.close()

    def start(self) -> None:
        """Start it; returns when it is ready."""
        with notified(self._place) as (address, ready), (self._place / "log").open("ab") as log:
            environment = {**os.environ, "NOTIFY_SOCKET": address}
            command = [TOCSIN, "--config", str(self._path), "serve"]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                ready()
            except TimeoutError:
                raise SystemExit(f"Tocsin did not start:\n{self.said()[-4000:]}") from None
        (self._place / "notify").unlink()

    def said(self) -> str:
        """Its log."""
        return (self._place / "log").read_text()

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        assert self._process is not None
        return family(self._process.pid)

    def load_options(self) -> dict[str, str]:
        """What the load client needs to know."""
        return {"token": self._token}

    heard = None

    def kill(self) -> None:
        """kill -9, all of it."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)

    def stop(self) -> None:
        """In good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(40)


@contextlib.contextmanager
def tocsin(smpp: int, **options: object) -> Iterator[Tocsin]:
    """Tocsin, started in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as place:
        one = Tocsin(Path(place), smpp, **options)  # type: ignore[arg-type]
        one.start()
        try:
            yield one
        finally:
            one.stop()
