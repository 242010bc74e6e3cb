"""What the service manager is told, and what it hands over: readiness, the watchdog, sockets opened for us.

The protocols are systemd's and small enough to speak directly: sd_notify(3) (datagrams of `KEY=value` lines to
`$NOTIFY_SOCKET`), sd_watchdog_enabled(3) and sd_listen_fds(3). Everything here does nothing where no service manager
asked for it, and a notification that cannot be sent is logged, never raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

#: The first descriptor handed over (SD_LISTEN_FDS_START).
_FIRST = 3
#: The longest a notification may block, in seconds; it only does where the service manager itself is stuck.
_PATIENCE = 1.0


class ActivationError(Exception):
    """The service manager handed over something that cannot be listened on; `str()` says what."""


class ServiceManager:
    """One process's side of the talk with systemd, or with nobody.

    The variables that start it are read once and taken out of the environment, so that no child process believes
    they were meant for it.
    """

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._address = _address(env.pop("NOTIFY_SOCKET", ""))
        self._watchdog = _watchdog(env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", ""))
        self._listen = (env.pop("LISTEN_FDS", ""), env.pop("LISTEN_FDNAMES", ""), env.pop("LISTEN_PID", ""))

    @property
    def watchdog(self) -> float | None:
        """Seconds between signs of life: half of what the service manager waits, or None where it does not watch."""
        return self._watchdog

    def ready(self, status: str = "") -> None:
        """Everything serves; also said after a reload is through."""
        self._send("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(*_status(text))

    def reloading(self) -> None:
        """The configuration is being read again; `ready()` must follow, whether it was any good or not.

        MONOTONIC_USEC tells this reload from an earlier one (systemd 253 and newer ask for it, older ignore it).
        """
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> None:
        """No more is taken; what is open is being finished."""
        self._send("STOPPING=1", *_status(status))

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        self._send("WATCHDOG=1")

    async def keep_alive(self) -> None:
        """Gives signs of life until cancelled; returns at once where nobody watches.

        It runs as a task of the event loop that does the work, so a loop that hangs is noticed and restarted.
        """
        if self._watchdog is None:
            return
        while True:
            self.alive()
            await asyncio.sleep(self._watchdog)

    def sockets(self) -> dict[str, list[socket.socket]]:
        """The listening sockets handed over, by FileDescriptorName=; a name may have several.

        The first call hands them on, every later one returns nothing. They are non-blocking and not inherited by
        child processes. Raises ActivationError where a descriptor is no listening stream socket.
        """
        count, names, pid = self._listen
        self._listen = ("", "", "")
        if not count or pid != str(os.getpid()):
            return {}
        if not count.isdecimal():
            raise ActivationError(f"$LISTEN_FDS is {count!r} and not a number")
        labels = names.split(":") if names else []
        found: dict[str, list[socket.socket]] = {}
        for index in range(int(count)):
            # Unnamed descriptors are called "unknown" by sd_listen_fds_with_names(3) as well.
            label = labels[index] if index < len(labels) and labels[index] else "unknown"
            found.setdefault(label, []).append(_listening(_FIRST + index, label))
        return found

    def _send(self, *lines: str) -> None:
        if self._address is None or not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(_PATIENCE)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning(
                "the service manager was not told %s: %s",
                lines[0],
                error,
                extra={"action": "notify_failed"},
            )


def _address(value: str) -> str | None:
    """The address of `$NOTIFY_SOCKET`: a path, or `@` for the abstract name space, where a null octet comes first."""
    if not value:
        return None
    if value.startswith("/"):
        return value
    if value.startswith("@"):
        return "\0" + value[1:]
    log.warning("$NOTIFY_SOCKET is %r, neither a path nor an abstract name: nobody is notified", value)
    return None


def _watchdog(microseconds: str, pid: str) -> float | None:
    """Half the watchdog's time in seconds (sd_watchdog_enabled(3) advises half), if it is this process it watches."""
    if pid and pid != str(os.getpid()):
        return None
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 1_000_000 / 2


def _status(text: str) -> tuple[str, ...]:
    """STATUS= is one line: a line break would begin another assignment."""
    return (f"STATUS={' '.join(text.split())}",) if text else ()


def _listening(descriptor: int, label: str) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ActivationError(f"descriptor {descriptor} ({label}) handed over is no socket: {error}") from error
    stream = sock.type == socket.SOCK_STREAM
    accepting = 0
    with contextlib.suppress(OSError):
        accepting = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not stream or not accepting:
        sock.detach()
        raise ActivationError(
            f"descriptor {descriptor} ({label}) handed over does not listen for connections: "
            "its unit needs ListenStream= and Accept=no"
        )
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock
