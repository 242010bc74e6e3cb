"""systemd's journal, spoken to directly (its native protocol, a datagram of fields an entry)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import struct
from collections.abc import Mapping

#: Where the journal listens.
SOCKET = "/run/systemd/journal/socket"

#: The longest one entry may wait for a journal that is busy, in seconds.
_PATIENCE = 1.0
#: Field names the journal takes: capitals, digits, underscores, a letter first, at most 64 octets.
_UNFIT = re.compile(r"[^A-Z0-9_]")


class Journal:
    """A connection to the journal."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        # A journal that hangs must not hang whoever has something to log.
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def send(self, fields: Mapping[str, str]) -> None:
        """Writes one entry. Raises OSError where the journal does not take it."""
        entry = serialise(fields)
        try:
            self._socket.send(entry)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_sealed(entry)

    def close(self) -> None:
        """No more entries."""
        self._socket.close()

    def _send_sealed(self, entry: bytes) -> None:
        """What is too long for a datagram goes as a sealed memory file, its descriptor alone in the datagram."""
        descriptor = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(entry)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
            socket.send_fds(self._socket, [b""], [descriptor])
        finally:
            os.close(descriptor)


def connect(path: str = SOCKET) -> Journal | None:
    """The journal, or None where there is none to speak to."""
    with contextlib.suppress(OSError):
        return Journal(path)
    return None


def serialise(fields: Mapping[str, str]) -> bytes:
    """The fields as the native protocol writes them.

    `NAME=value` and a line feed; a value with a line feed in it is `NAME`, a line feed, its length as 64 bits little
    endian, the value and a line feed. A name the journal would not take is made fit.
    """
    entry = bytearray()
    for name, text in fields.items():
        fit = _UNFIT.sub("_", name.upper()).lstrip("_0123456789")[:64] or "FIELD"
        value = text.encode("utf-8", "backslashreplace")
        if b"\n" in value:
            entry += fit.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        else:
            entry += fit.encode() + b"=" + value + b"\n"
    return bytes(entry)
