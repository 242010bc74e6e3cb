"""The head of a request to send a message: how it frames its request, and what it says of the message.

Whoever sends many messages over one connection sends the same head each time, but for the length of the body. What a
head says is in its octets and nowhere else, so it is read once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from daemon.console.operations import MESSAGES
from gateway import tokens
from gateway.value import value

MEDIA_TYPE = b"application/json"
_BEGINNING = b"POST %b HTTP/1.1\r\n" % MESSAGES.encode()
#: Bodies that may go the short way are shorter than so many digits can say.
_DIGITS = 5
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,%d})\r\n" % _DIGITS, re.IGNORECASE)


@value
class Head:
    """What the header fields of a request say of a message."""

    authorization: bytes | None
    media_type: bytes | None
    key: bytes | None
    length: bytes | None

    @classmethod
    def of(cls, fields: Iterable[tuple[bytes, bytes]]) -> Head:
        """Authorization, Content-Type, Idempotency-Key and Content-Length of a request, their names in lower case."""
        authorization = media_type = key = length = None
        for name, content in fields:
            if name == b"authorization":
                authorization = content
            elif name == b"content-type":
                media_type = content
            elif name == b"idempotency-key":
                key = content
            elif name == b"content-length":
                length = content
        return cls(authorization, media_type, key, length)

    def bearer(self) -> bytes | None:
        """The digest of the token of whoever asks, where the head says nothing more; None where it does."""
        if self.authorization is None or self.key is not None or self.media_type not in (None, MEDIA_TYPE):
            return None
        secret = tokens.secret_of(self.authorization)
        return tokens.digest_of(secret) if secret is not None else None


@value
class Frame:
    """The octets of a head before and after the digits that say how long the body is."""

    before: bytes
    after: bytes

    @classmethod
    def of(cls, octets: bytes, most: int) -> Frame | None:
        """That of one request to send a message, whole, with nothing after it; None for anything else.

        Its head has at most `most` octets.
        """
        if not octets.startswith(_BEGINNING):
            return None
        end = octets.find(b"\r\n\r\n", 0, most)
        length = _LENGTH.search(octets, 0, end + 2) if end > 0 else None
        if length is None or len(octets) != end + 4 + int(length[1]):
            return None
        return cls(octets[: length.start(1)], octets[length.end(1) : end + 4])

    @property
    def longest(self) -> int:
        """How many octets a head in this frame has at most."""
        return len(self.before) + _DIGITS + len(self.after)

    def body(self, octets: bytes) -> bytes | None:
        """The body of one whole request in this frame; None for any other octets."""
        if not octets.startswith(self.before):
            return None
        start, after = len(self.before), self.after
        end = octets.find(after, start, start + _DIGITS + len(after))
        digits = octets[start:end]
        if end < 0 or not digits.isdigit() or len(octets) != end + len(after) + int(digits):
            return None
        return octets[end + len(after) :]
