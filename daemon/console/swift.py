"""The hot path of the HTTP server: a message that comes as one whole request, taken and answered without a task.

Most requests are one segment of TCP that holds a `POST /api/v1/messages` from its first octet to its last, and need
nothing of the store but to be stored. For these there is no ASGI scope, no cycle and no task: the parser's callbacks
gather header fields and body, and the answer is written when the future of the set is done. The next request on the
connection with the same head, but for its body's length, is not even parsed. Whatever is not exactly so goes the usual
way, from the start: the parser has not been asked twice, and nothing has been done yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from daemon.console.heads import Frame, Head
from daemon.console.protocol import Connection, Phase

if TYPE_CHECKING:
    from daemon.console.server import Server

#: Writes an answer: its status, its header fields as they go over the wire, its body.
Answer = Callable[[int, bytes, bytes], None]
#: Begins to take a message of this bearer with this body. False: it must go the usual way.
Begin = Callable[[bytes, bytes, Answer], bool]

_IDLE, _ANSWER = Phase.IDLE, Phase.ANSWER
#: Octets of the longest head that is remembered: a connection is to need little memory.
_REMEMBERED = 2048


class SwiftConnection(Connection):
    """A connection that knows the short way."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._take: Begin | None = server.begin
        self._frame: Frame | None = None  # that of the whole request that is being read
        self._known: tuple[Frame, bytes] | None = None  # that of the last one taken, and whose it was
        self._answering = False  # the answer to one is awaited
        self._meanwhile = b""  # what has come since
        self._last = False  # nothing more is taken after it
        self._content = b""

    def data_received(self, data: bytes) -> None:
        if self._answering and not self._ended:
            self._meanwhile += data
            self.flow.pause_reading()
            return
        self._frame = None
        if self.phase is _IDLE and not self._ended and not self.flow.write_paused and self._take is not None:
            body = self._known[0].body(data) if self._known is not None else None
            if self._known is None or body is None:
                self._frame = Frame.of(data, self._house.limits.head)
            elif self._take(self._known[1], body, self._answer):
                self._answering, self.phase = True, _ANSWER
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        if self._frame is None:
            super().on_message_begin()
            return
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._content = b""

    def on_headers_complete(self) -> None:
        if self._frame is None:
            super().on_headers_complete()
        elif len(self.headers) > self._house.limits.headers:
            raise ValueError("too many header fields")

    def on_body(self, body: bytes) -> None:
        if self._frame is not None:
            self._content += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        frame, self._frame = self._frame, None
        if frame is None:
            super().on_message_complete()
            return
        plain = self.parser.should_keep_alive() and not self.parser.should_upgrade() and not self.expect_100_continue
        bearer = Head.of(self.headers).bearer() if plain else None
        if bearer is not None and self._take is not None and self._take(bearer, self._content, self._answer):
            self._answering, self.phase = True, _ANSWER
            if frame.longest <= min(_REMEMBERED, self._house.limits.head):
                self._known = frame, bearer
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

    def _answer(self, status: int, lines: bytes, body: bytes) -> None:
        self._answering = False
        self.server_state.total_requests += 1
        self.phase, self.since = _IDLE, self.loop.time()
        if self.transport.is_closing():
            return
        end = b"connection: close\r\n\r\n" if self._last else b"\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], self._house.lines, lines, end, body)))
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
