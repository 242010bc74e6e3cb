"""Sockets to listen at: `host:port`, `unix:/path` or `systemd:name`, opened in our own event loop, and closed again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
import stat
from collections.abc import Callable, Mapping

_BACKLOG = 512
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:]*)):(?P<port>\d{1,5})\Z")

Factory = Callable[[], asyncio.BaseProtocol]
#: The sockets of systemd's socket activation by their names.
Inherited = Mapping[str, list[socket.socket]]


class Sockets:
    """What one listener listens at."""

    def __init__(self) -> None:
        self._servers: list[asyncio.AbstractServer] = []
        self._paths: list[str] = []

    async def open(self, factory: Factory, address: str, inherited: Inherited | None = None) -> list[str]:
        """Listen at this address, `factory` making the protocol of each connection; the addresses that are bound.

        ValueError for an address that cannot be read or a name that was not passed; OSError where it cannot be bound.
        """
        if address.startswith("systemd:"):
            sockets = (inherited or {}).get(address.removeprefix("systemd:"), [])
            if not sockets:
                raise ValueError(
                    f"{address}: systemd passed no socket of this name (FileDescriptorName= of a .socket unit)"
                )
            return [bound for one in sockets for bound in await self._serve(factory, one)]
        if address.startswith("unix:"):
            return await self._open_unix(factory, address.removeprefix("unix:"))
        found = _ADDRESS.match(address)
        if found is None or int(found["port"]) > 65535:
            raise ValueError(
                f'{address!r} is no address to listen at: write "host:port", "unix:/path" or "systemd:name"'
            )
        loop = asyncio.get_running_loop()
        host = found["ipv6"] or found["host"] or None
        server = await loop.create_server(factory, host, int(found["port"]), backlog=_BACKLOG)
        return self._opened(server)

    async def _open_unix(self, factory: Factory, path: str) -> list[str]:
        _remove_stale(path)
        loop = asyncio.get_running_loop()
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            own.bind(path)
            os.chmod(path, 0o660)
        except OSError:
            own.close()
            raise
        self._paths.append(path)
        return self._opened(await loop.create_unix_server(factory, sock=own, backlog=_BACKLOG))

    async def _serve(self, factory: Factory, own: socket.socket) -> list[str]:
        loop = asyncio.get_running_loop()
        own.setblocking(False)
        if own.family == socket.AF_UNIX:
            return self._opened(await loop.create_unix_server(factory, sock=own, backlog=_BACKLOG))
        return self._opened(await loop.create_server(factory, sock=own, backlog=_BACKLOG))

    def _opened(self, server: asyncio.Server) -> list[str]:
        self._servers.append(server)
        return [_written(one.family, one.getsockname()) for one in server.sockets]

    def close(self) -> None:
        """Accept no more; connections that are open stay so."""
        for server in self._servers:
            server.close()
        for path in self._paths:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _remove_stale(path: str) -> None:
    """Remove a socket nobody listens at any more; OSError where somebody does, or something else is there."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file, which is no socket", path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(errno.EADDRINUSE, "somebody listens there already", path)
        os.unlink(path)


def _written(family: int, name: object) -> str:
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
    return f"unix:{name.decode() if isinstance(name, bytes) else name}"
