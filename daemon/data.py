"""The octets of DATA, read in large pieces (RFC 5321 sections 4.1.1.4 and 4.5.2)."""

from __future__ import annotations

import asyncio

_END = b"\r\n.\r\n"
_DOT = b".\r\n"


async def read(reader: asyncio.StreamReader, max_size: int) -> bytes | None:
    """The mail, transparency dots taken off, or None where it is larger than `max_size` octets.

    Only CRLF.CRLF ends it: a bare CR or LF is content like any other, so nobody can smuggle a second mail past us.
    Raises `asyncio.IncompleteReadError` where the peer went away. At most `max_size` octets are kept.
    """
    kept = _Kept(max_size + len(_DOT))
    tail, missing = b"\r\n", len(_DOT)  # the CRLF that ends the command counts: a lone dot may follow at once
    while missing < len(_END):
        piece = await reader.readexactly(missing)
        kept.add(piece)
        tail = (tail + piece)[-len(_END) :]
        if tail == _END:
            return kept.mail()
        missing = _missing(tail)
    while True:
        try:
            kept.add(await reader.readuntil(_END))
        except asyncio.LimitOverrunError as error:
            kept.add(await reader.readexactly(error.consumed))
        else:
            return kept.mail()


def _missing(tail: bytes) -> int:
    """How many octets at least must follow before the end of data can be complete; all of it where none has begun."""
    return len(_END) - next((length for length in range(len(_END) - 1, 0, -1) if tail.endswith(_END[:length])), 0)


class _Kept:
    """What was read so far, and nothing of it once it is too much."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._data = bytearray()

    def add(self, piece: bytes) -> None:
        self._total += len(piece)
        if self._total <= self._limit:
            self._data += piece
        else:
            self._data.clear()

    def mail(self) -> bytes | None:
        """The mail without its end, a dot alone on its line, and without its transparency dots."""
        if self._total > self._limit:
            return None
        del self._data[-len(_DOT) :]
        if self._data.startswith(b"."):
            del self._data[0]
        return bytes(self._data.replace(b"\r\n.", b"\r\n"))
