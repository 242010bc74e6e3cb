"""The hot path of the HTTP server: a message that comes as one whole request, taken and answered without a task.

Most requests are one segment of TCP that holds a `POST /api/v1/messages` from its first octet to its last, and need
nothing of the store but to be stored. For these there is no ASGI scope, no cycle and no task: the parser's callbacks
gather header fields and body, and the answer is written when the future of the set is done. Whatever is not exactly so
goes the usual way, from the start: the parser has not been asked twice, and nothing has been done yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from daemon.console.operations import MESSAGES
from daemon.console.protocol import Connection, Phase

if TYPE_CHECKING:
    from daemon.console.server import Server

Fields = Sequence[tuple[bytes, bytes]]
#: Writes an answer: its status, its header fields, its body.
Answer = Callable[[int, Fields, bytes], None]
#: Begins to take a message of these header fields and this body. False: it must go the usual way.
Begin = Callable[[Fields, bytes, Answer], bool]

_HEAD = b"POST %b HTTP/1.1\r\n" % MESSAGES.encode()
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,5})\r\n", re.IGNORECASE)


def is_whole(octets: bytes, most: int) -> bool:
    """Whether this is one request to send a message, no more and no less, with a head of at most `most` octets."""
    if not octets.startswith(_HEAD):
        return False
    end = octets.find(b"\r\n\r\n", 0, most)
    length = _LENGTH.search(octets, 0, end + 2) if end > 0 else None
    return length is not None and len(octets) == end + 4 + int(length[1])


class SwiftConnection(Connection):
    """A connection that knows the short way."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._take: Begin | None = server.begin
        self._whole = False  # what is being read is a whole request
        self._answering = False  # the answer to one is awaited
        self._meanwhile = b""  # what has come since
        self._last = False  # nothing more is taken after it
        self._content = b""

    def data_received(self, data: bytes) -> None:
        if self._answering and not self._ended:
            self._meanwhile += data
            self.flow.pause_reading()
            return
        self._whole = (
            self._take is not None
            and self.phase is Phase.IDLE
            and not self.flow.write_paused
            and is_whole(data, self._house.limits.head)
        )
        super().data_received(data)

    def on_message_begin(self) -> None:
        if not self._whole:
            super().on_message_begin()
            return
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._content = b""

    def on_headers_complete(self) -> None:
        if not self._whole:
            super().on_headers_complete()
        elif len(self.headers) > self._house.limits.headers:
            raise ValueError("too many header fields")

    def on_body(self, body: bytes) -> None:
        if self._whole:
            self._content += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._whole:
            super().on_message_complete()
            return
        self._whole = False
        plain = self.parser.should_keep_alive() and not self.parser.should_upgrade() and not self.expect_100_continue
        if plain and self._take is not None and self._take(self.headers, self._content, self._answer):
            self._answering = True
            self.phase = Phase.ANSWER
        else:
            self._go_the_usual_way()

    def _go_the_usual_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        super().on_body(self._content)
        super().on_message_complete()

    def _answer(self, status: int, fields: Fields, body: bytes) -> None:
        self._answering = False
        self.server_state.total_requests += 1
        self.phase, self.since = Phase.IDLE, self.loop.time()
        if self.transport.is_closing():
            return
        told = [b"%b: %b\r\n" % field for field in (*self.server_state.default_headers, *fields)]
        end = b"connection: close\r\n\r\n" if self._last else b"\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], *told, end, body)))
        if self._last:
            self.transport.close()
        elif self._meanwhile:
            data, self._meanwhile = self._meanwhile, b""
            self.flow.resume_reading()
            self.data_received(data)

    def shutdown(self) -> None:
        if self._answering:
            self._last = True
        else:
            super().shutdown()
