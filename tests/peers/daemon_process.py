"""The daemon as the service manager sees it: a process with a configuration, readiness by datagram, and signals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: The console script of the environment the tests run in.
TOCSIN = str(Path(sys.executable).with_name("tocsin"))

_OPERATOR = {"name": "operator", "channels": ["sms"], "transport": "smpp", "host": "127.0.0.1", "sender": "32475000000"}


def free_port() -> int:
    """A port nobody listens at, below those the kernel lends to clients: it stays free while we are away."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def toml(config: dict[str, Any]) -> str:
    """A configuration as TOML: tables by their names, `route` a list of them."""
    lines = []
    for name, table in config.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{key} = {_value(value)}" for key, value in one.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {_value(one)}' for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def operator(port: int, **settings: Any) -> dict[str, Any]:
    """An SMPP route to a peer on loopback."""
    return {**_OPERATOR, "port": port, **settings}


class DaemonProcess:
    """`tocsin serve` with the configuration `config`, which is written when it starts or is told to read it again."""

    def __init__(self, folder: Path, store: str, routes: list[dict[str, Any]], **listen: Any) -> None:
        self.smtp = free_port()
        self.lmtp = folder / "lmtp.sock"
        self.config: dict[str, Any] = {
            "store": {"url": store},
            "listen": {
                "smtp": f"127.0.0.1:{self.smtp}",
                "lmtp": f"unix:{self.lmtp}",
                "sms_domain": "sms.example.org",
                "region": "BE",
                "trusted_networks": ["127.0.0.1", "unix"],
                **listen,
            },
            "route": routes,
            "log": {"level": "warning"},
        }
        self.path = folder / "tocsin.toml"
        self.log = folder / "log"
        self.process: asyncio.subprocess.Process | None = None
        self._notices = folder / "notify"
        self._post: socket.socket | None = None

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self.process is not None
        return self.process.pid

    @property
    def route(self) -> dict[str, Any]:
        """The first route."""
        first: dict[str, Any] = self.config["route"][0]
        return first

    def write(self) -> None:
        """Write the configuration."""
        self.path.write_text(toml(self.config))

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text()

    async def verb(self, *words: str) -> tuple[int, str, str]:
        """Run another verb on the same configuration; its exit status, what it printed, and what it said."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            TOCSIN, "--config", str(self.path), *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        printed, said = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, printed.decode(), said.decode()

    async def status(self) -> dict[str, dict[str, Any]]:
        """What `tocsin status --json` prints, by name."""
        code, printed, said = await self.verb("status", "--json")
        assert code == 0, said
        return {line["name"]: line for line in json.loads(printed)}

    async def launch(self) -> None:
        """Start the process; it is not ready yet."""
        assert self.process is None, "it runs already"
        self.write()
        self._notices.unlink(missing_ok=True)
        self._post = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._post.setblocking(False)
        self._post.bind(str(self._notices))
        environment = {**os.environ, "NOTIFY_SOCKET": str(self._notices), "PYTHONFAULTHANDLER": "1"}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                TOCSIN, "--config", str(self.path), "serve", env=environment, stdout=log, stderr=log
            )

    async def start(self, seconds: float = 30) -> None:
        """Start it; returns when it says READY=1."""
        await self.launch()
        await self.told("READY=1", seconds)

    async def told(self, line: str, seconds: float = 30) -> str:
        """Returns the notification that has this line; fails where the process ends before."""
        assert self.process is not None
        assert self._post is not None
        loop = asyncio.get_running_loop()
        ended = asyncio.ensure_future(self.process.wait())
        try:
            async with asyncio.timeout(seconds):
                while True:
                    heard = asyncio.ensure_future(loop.sock_recv(self._post, 4096))
                    await asyncio.wait({heard, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if not heard.done():
                        heard.cancel()
                        raise AssertionError(f"the daemon ended with {ended.result()}:\n{self.said()}")
                    if line in (text := heard.result().decode()).splitlines():
                        return text
        finally:
            ended.cancel()

    async def reload(self) -> None:
        """SIGHUP; returns when it says that it is ready again."""
        self.write()
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        await self.told("RELOADING=1")
        await self.told("READY=1")

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self._gone(30)

    async def stop(self, seconds: float = 35) -> int:
        """SIGTERM; its exit status."""
        assert self.process is not None
        self.process.terminate()
        return await self._gone(seconds)

    async def _gone(self, seconds: float) -> int:
        assert self.process is not None
        assert self._post is not None
        status = await asyncio.wait_for(self.process.wait(), seconds)
        self.process = None
        self._post.close()
        self._post = None
        return status


async def until(condition: Callable[[], Any], seconds: float = 30, why: Callable[[], object] = lambda: "") -> Any:
    """The first true answer of `condition`, asked again and again; for what gives no signal, such as rows."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"it did not happen within {seconds} seconds: {why()}")
        await asyncio.sleep(0.05)
    return found
