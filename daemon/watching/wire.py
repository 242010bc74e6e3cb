"""An IMAP connection whose socket and buffer are ours.

imaplib reads through a buffered file, in which mail that arrives just before IDLE hides, and imapclient's `idle_check`
hides the end of a connection. Here imaplib reads from our own buffer; between commands `drain` says what has come
without ever blocking, and an end is an end. Lines and literals are bounded: what is longer ends the connection.
"""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imapclient import IMAPClient

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: The longest line, and the longest literal, that a server may send, in octets. What is fetched is asked for in
#: pieces below this (`daemon.watching.looking`); a BODYSTRUCTURE of thousands of parts is a long line.
LONGEST_LINE = 4 * 1024 * 1024
LONGEST_LITERAL = 4 * 1024 * 1024
_CHUNK = 65536
#: Octets that an idle connection may bring at once, and that may wait there for the end of their line.
_MOST_IDLE, _MOST_KEPT = 1024 * 1024, 64 * 1024
#: How long the whole answer to one command may take, in times of what a server may be silent: who sends an octet a
#: minute is not waited for.
_ANSWER = 4.0
_LITERAL = re.compile(rb"\{(\d+)\+?\}\r?\n\Z")

Connect = Callable[[float], socket.socket]


class GarbageError(imaplib.IMAP4.abort):
    """The server does not speak IMAP, or without any measure."""


class EndedError(imaplib.IMAP4.abort):
    """The server ended the connection."""


class Wire(imaplib.IMAP4):
    """imaplib's client on a socket that `connect` opens, with TLS from the first octet where there is a context."""

    def __init__(self, connect: Connect, host: str, timeout: float, context: ssl.SSLContext | None) -> None:
        self._dial = connect
        self._context = context
        self._buffer = bytearray()
        self._seconds, self._until = timeout, time.monotonic() + _ANSWER * timeout
        self.sock: socket.socket
        super().__init__(host, timeout=timeout)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        seconds = timeout or 30.0
        sock = self._dial(seconds)
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        if self._context is not None:
            try:
                self.sock = self._context.wrap_socket(sock, server_hostname=host)
            except BaseException:
                sock.close()
                raise

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on (STARTTLS). What came in plain text behind the answer is refused (CVE-2011-0411)."""
        if self._buffer:
            raise GarbageError("the server sent more in plain text behind its answer to STARTTLS")
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def _log(self, line: bytes) -> None:
        """Nothing: imaplib keeps the last commands for its debugging, the one with the password among them."""

    # What imaplib reads and writes with -------------------------------------------------------------------------------

    def read(self, size: int) -> bytes:
        if size > LONGEST_LITERAL:
            raise GarbageError(f"the server sends {size} octets at once")
        while len(self._buffer) < size:
            self._receive()
        return self._cut(size)

    def readline(self) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > LONGEST_LINE:
                raise GarbageError("the server sends a line without end")
            self._receive()
        return self._cut(end + 1)

    def send(self, data: Buffer) -> None:
        self.sock.sendall(data)

    def shutdown(self) -> None:
        self.sock.close()

    def patience(self, seconds: float | None = None) -> None:
        """The answer to what is asked now may take its time anew; or from now on, this many seconds."""
        self._seconds = seconds or self._seconds
        self._until = time.monotonic() + _ANSWER * self._seconds
        self.sock.settimeout(self._seconds)

    def _command(self, name: str, *args: Any) -> bytes:
        self.patience()
        tag: bytes = super()._command(name, *args)  # type: ignore[misc]  # not among imaplib's public names
        return tag

    def _receive(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server did not end its answer in time")
        self.sock.settimeout(min(self._seconds, left))
        octets = self.sock.recv(_CHUNK)
        if not octets:
            raise EndedError("the server ended the connection")
        self._buffer += octets

    def _cut(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    # Between commands -------------------------------------------------------------------------------------------------

    def drain(self) -> list[bytes]:
        """The whole lines that have come, without waiting; `EndedError` where the connection has ended.

        What TLS has decrypted already counts too: it is read until there is nothing left.
        """
        self.sock.setblocking(False)
        try:
            while len(self._buffer) <= _MOST_IDLE:
                octets = self.sock.recv(_CHUNK)
                if not octets:
                    raise EndedError("the server ended the connection")
                self._buffer += octets
            raise GarbageError("the server sends without end while it should be idle")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self.sock.settimeout(self._seconds)
        lines = self._whole_lines()
        if len(self._buffer) > _MOST_KEPT:
            raise GarbageError("the server sends a line without end while it should be idle")
        return lines

    def _whole_lines(self) -> list[bytes]:
        """Cut whole lines off the buffer; a line whose literal has not come yet stays."""
        lines = []
        at = 0
        while (end := self._buffer.find(b"\n", at)) >= 0:
            line = bytes(self._buffer[at : end + 1])
            literal = _LITERAL.search(line)
            if literal is not None:
                if int(literal[1]) > LONGEST_LITERAL:
                    raise GarbageError(f"the server sends {int(literal[1])} octets at once")
                after = end + 1 + int(literal[1])
                rest = self._buffer.find(b"\n", after)
                if rest < 0:
                    break
                end = rest
            lines.append(line)
            at = end + 1
        del self._buffer[:at]
        return lines


class Client(IMAPClient):  # type: ignore[misc]  # imapclient has no types
    """imapclient on our `Wire`."""

    def __init__(self, host: str, wire: Callable[[], Wire], timeout: float) -> None:
        self._wire = wire
        self._seconds = timeout
        super().__init__(host, port=0, ssl=False, timeout=timeout)
        self._imap.debug = 0  # imapclient makes it format every line for a log that nobody reads

    def _create_IMAP4(self) -> Any:  # noqa: N802 - its name in imapclient
        return self._wire()

    def _set_read_timeout(self) -> None:
        self._imap.sock.settimeout(self._seconds)

    @property
    def wire(self) -> Wire:
        """The connection under it."""
        found: Wire = self._imap
        return found

    def secure(self, context: ssl.SSLContext) -> None:
        """STARTTLS; capabilities that were told before count no more (RFC 9051 section 6.2.1)."""
        if not self.has_capability("STARTTLS"):
            raise imaplib.IMAP4.error("the server does not offer STARTTLS, and nothing else is allowed here")
        typ, data = self._imap._simple_command("STARTTLS")
        self._checkok("starttls", typ, data)
        self.wire.secure(context)
        self._starttls_done = True
        self._cached_capabilities = None
        self._imap.capabilities = ()
        self._set_read_timeout()
        self.capabilities()
