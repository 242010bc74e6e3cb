"""The processes of a measurement: the daemon, the sink, the null server; their ports and their processor time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.assemble import open_store
from daemon.config import load
from gateway import accounts, credit
from gateway.store import migrate

HERE = Path(__file__).parent
SINK = HERE.parent / "peers" / "sink.js"
#: The console script beside this interpreter.
TOCSIN = Path(sys.executable).parent / "tocsin"
TICKS = os.sysconf("SC_CLK_TCK")
ACCOUNTS = 10

_CONFIG = """
[store]
url = "{store}"
[listen]
smtp = "127.0.0.1:{smtp}"
sms_domain = "sms.example.org"
trusted_networks = ["127.0.0.1"]
max_size = {max_size}
[[route]]
name = "sink"
channels = ["sms"]
transport = "smpp"
host = "127.0.0.1"
port = {smpp}
window = {window}
receipts = {receipts}
sender = "32475000000"
[log]
level = "warning"
"""


def processor_seconds(pid: int) -> float:
    """User and system time a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def most_memory(pid: int) -> int:
    """The most that was resident of a process so far, in octets (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def sink(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """node-smpp as the SMS centre: the process, its port, and the file its lines go to."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as lines, open(lines.name, "wb") as out:
        process = subprocess.Popen(["node", str(SINK), *options], stdin=subprocess.PIPE, stdout=out)
        try:
            port = _wait(lambda: next(_lines(Path(lines.name), "listening"), None))["port"]
            yield process, port, Path(lines.name)
        finally:
            process.terminate()
            process.wait(10)


def submits(path: Path, wanted: int, *, patience: float = 120.0) -> list[dict[str, Any]]:
    """The sink's submit lines, once there are so many."""
    _wait(lambda: sum(1 for _ in _lines(path, "submit")) >= wanted or None, patience=patience, pause=0.2)
    return list(_lines(path, "submit"))


def _lines(path: Path, event: str) -> Iterator[dict[str, Any]]:
    mark = f'{{"event":"{event}"'.encode()
    with path.open("rb") as file:
        for line in file:
            if line.startswith(mark) and line.endswith(b"\n"):
                yield json.loads(line)


def wait_for(come: Callable[[], bool], seconds: float, complaint: str, *, pause: float = 0.02) -> None:
    """Wait until this is true; `TimeoutError` with the complaint where it is not in time."""
    end = time.monotonic() + seconds
    while not come():
        if time.monotonic() > end:
            raise TimeoutError(complaint)
        time.sleep(pause)


def _wait(ask: Any, *, patience: float = 20.0, pause: float = 0.02) -> Any:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = ask()
        if found is not None:
            return found
        time.sleep(pause)
    raise TimeoutError("waited in vain")


@contextlib.contextmanager
def tocsin(
    smpp: int, *, store: str = "", window: int = 50, receipts: bool = False, max_size: int = 10_485_760
) -> Iterator[tuple[int, int]]:
    """The daemon on a store of its own with `ACCOUNTS` rich accounts; its pid and its SMTP port."""
    place = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    try:
        smtp = free_port()
        path = place / "tocsin.toml"
        url = store or f"sqlite:///{place / 'tocsin.db'}"
        values = {"store": url, "smtp": smtp, "smpp": smpp, "window": window, "receipts": str(receipts).lower()}
        values["max_size"] = max_size
        path.write_text(_CONFIG.format(**values))
        _people(path)
        with notified(place) as (address, ready):
            environment = {**os.environ, "NOTIFY_SOCKET": address}
            process = subprocess.Popen([TOCSIN, "--config", str(path), "serve"], env=environment)
            try:
                ready()
                yield process.pid, smtp
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(40)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def notified(place: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A NOTIFY_SOCKET's address, and what returns when READY=1 has come to it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as post:
        address = str(place / "notify")
        post.bind(address)

        def ready() -> None:
            while select.select([post], [], [], 20)[0]:
                if b"READY=1" in post.recv(4096):
                    return
            raise TimeoutError("the daemon did not become ready")

        yield address, ready


def _people(path: Path) -> None:
    store = open_store(load(path))
    migrate.migrate(store.engine)

    def make(connection: Any) -> None:
        now = datetime.now(UTC)
        for n in range(ACCOUNTS):
            account = accounts.add(connection, f"a{n}", now=now, addresses=[f"a{n}@example.org"])
            credit.buy(connection, account, 1_000_000, reason="for the benchmark", now=now)

    store.run_now(make)
    store.close()


@contextlib.contextmanager
def null_server() -> Iterator[tuple[int, int]]:
    """aiosmtpd with a null handler; its pid and its port."""
    process = subprocess.Popen([sys.executable, str(HERE / "null_server.py")], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def load_client(port: int, **options: Any) -> dict[str, list[int]]:
    """Run the load client as a process; what it measured."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py"), str(port), *words], stdout=subprocess.PIPE, check=True, timeout=300
    )
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found
