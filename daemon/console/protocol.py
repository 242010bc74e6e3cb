"""One HTTP connection: uvicorn's protocol, with bounds on what a peer may send and how long it may take.

uvicorn bounds neither the head of a request nor the time a request takes to come, and answers what is no HTTP in plain
text. Everything here is decided on the event loop without waiting.
"""

from __future__ import annotations

import asyncio
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from daemon.console.problems import ProblemError
from daemon.peers import Peer

if TYPE_CHECKING:
    from daemon.console.server import Server


#: Fields that say how the body is framed, or what becomes of the connection.
_UNUSUAL = re.compile(rb"\n(?:connection|transfer-encoding):", re.IGNORECASE)


class Phase(Enum):
    """Where a connection is."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"


class Cycle(RequestResponseCycle):
    """One request and its answer, which goes out in one piece where it is there in one piece.

    uvicorn writes head and body apart, and uvloop hands each to the system at once: two system calls, two packets, two
    wake-ups of the peer. What is unusual about an answer is left to uvicorn.
    """

    _begun: Any = None

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and self._begun is None and not self.response_started:
            self._begun = message
            return
        begun, self._begun = self._begun, None
        if begun is None:
            await super().send(message)
        elif not self._at_once(begun, message):
            await super().send(begun)
            await super().send(message)

    def _at_once(self, begun: Any, message: Any) -> bool:
        """Write the whole answer; False, and nothing written, where that cannot be."""
        if message.get("more_body") or self.disconnected or self.flow.write_paused or not self.keep_alive:
            return False
        body: bytes = message.get("body", b"")
        fields = [*self.default_headers, *begun["headers"]]
        if (b"content-length", b"%d" % len(body)) not in fields or self.scope["method"] == "HEAD":
            return False
        head = b"".join([STATUS_LINE[begun["status"]], *[b"%b: %b\r\n" % field for field in fields]])
        if head.count(b"\n") != len(fields) + 1 or head.count(b"\r") != len(fields) + 1 or _UNUSUAL.search(head):
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"%b\r\n%b" % (head, body))
        self.message_event.set()
        self.on_response()
        return True


class Connection(HttpToolsProtocol):
    """A connection; `since` is when its phase began, in the loop's seconds."""

    def __init__(self, server: Server) -> None:
        super().__init__(
            config=server.config, server_state=server.state, app_state={}, _loop=asyncio.get_running_loop()
        )
        self.access_log = False
        self.phase = Phase.IDLE
        self.since = self.loop.time()
        self.stuck: float | None = None
        self._house = server
        self._head = 0
        self._surplus = 0
        self._ended = False

    # What the transport says ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {"peer": Peer.of(transport)}
        if not self._house.admit(self):
            self._refuse(ProblemError(503, "there are too many connections: try again in a moment", retry_after=5))

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        if self.phase is Phase.IDLE:
            self._begin(Phase.HEAD)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # nothing is spoken here but HTTP/1.1; the request itself is answered
        except httptools.HttpParserError:
            if len(self.headers) > self._house.limits.headers:
                self._refuse(ProblemError(431, f"the request has more than {self._house.limits.headers} header fields"))
            else:
                self._refuse(ProblemError(400, "this is no HTTP request that can be read"))
            return
        if self.phase is Phase.HEAD:
            self._head += len(data)
            if self._head > self._house.limits.head:
                self._refuse(ProblemError(431, f"the head of the request is above {self._house.limits.head} octets"))
        elif self.phase is Phase.BODY and self.cycle.response_complete:
            self._surplus += len(data)
            if self._surplus > self._house.limits.surplus:
                self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        self._house.forget(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stuck = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stuck = None

    # What the parser says ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin(Phase.HEAD)

    def on_headers_complete(self) -> None:
        if len(self.headers) > self._house.limits.headers:
            raise ValueError("too many header fields")
        super().on_headers_complete()
        self.cycle.__class__ = Cycle  # uvicorn has no place where another could be named
        self.phase, self.since = Phase.BODY, self.loop.time()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.phase = Phase.IDLE if self.cycle.response_complete else Phase.ANSWER

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.since = self.loop.time()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(
                *self.pipeline.pop()
            )  # what is idle for too long is seen by `look`: no timer for each
        if self.phase is Phase.ANSWER and self.cycle.response_complete:
            self.phase = Phase.IDLE

    def send_400_response(self, msg: str) -> None:
        self._refuse(ProblemError(400, "this is no HTTP request that can be read"))

    # Bounds -----------------------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """End what takes too long; called every second."""
        limits, waited = self._house.limits, now - self.since
        if self.stuck is not None and now - self.stuck > limits.writing:
            self.transport.abort()
        elif self.transport.is_closing():
            if waited > limits.writing:
                self.transport.abort()
        elif self.phase is Phase.HEAD and waited > limits.reading_head:
            self._refuse(ProblemError(408, f"the head of the request took more than {limits.reading_head:g} seconds"))
        elif self.phase is Phase.BODY and waited > limits.reading_body:
            if self.cycle.response_complete:
                self._end()
            else:
                self._refuse(ProblemError(408, f"the body took more than {limits.reading_body:g} seconds"))
        elif self.phase is Phase.IDLE and waited > limits.idle:
            self.transport.close()

    def _begin(self, phase: Phase) -> None:
        self.phase, self.since = phase, self.loop.time()
        self._head = self._surplus = 0

    def _refuse(self, problem: ProblemError) -> None:
        """Answer what is no proper request, and hang up; a request before it is still answered first."""
        self._ended = True
        cycle: RequestResponseCycle | None = self.cycle
        self.pipeline.clear()
        self.flow.pause_reading()
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body or cycle.response_started:
                cycle.keep_alive = False
                return
            cycle.disconnected = True  # its body will never be whole
            cycle.message_event.set()
        body = problem.body()
        fields: list[tuple[bytes, bytes]] = [*self.server_state.default_headers, *problem.headers(body)]
        content = [STATUS_LINE[problem.status], *(b"%s: %s\r\n" % field for field in fields)]
        self.transport.write(b"".join([*content, b"connection: close\r\n\r\n", body]))
        self._house.refused(problem.status)
        self._end()

    def _end(self) -> None:
        self._ended = True
        self.since = self.loop.time()
        self.transport.close()
