"""Mail servers that relay to us: many mails over several connections, each asked for again until it is answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate

_EURO = "\N{EURO SIGN}"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to special addresses; its text is like no other's."""

    n: int
    sender: str
    numbers: tuple[str, ...]
    text: str

    @property
    def octets(self) -> bytes:
        """The message, as DATA takes it."""
        to = ", ".join(f"{number[1:]}@sms.example.org" for number in self.numbers)
        head = [
            f"From: <{self.sender}>",
            f"To: {to}",
            "Subject: of no interest",
            f"Date: {formatdate()}",
            f"Message-ID: <mail.{self.n}@example.org>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
        ]
        return ("\r\n".join([*head, "", self.text, ""])).encode()


def mails(chance: random.Random, senders: Iterable[str]) -> Iterator[Mail]:
    """Mails without end: mostly one short text to one number, now and then several parts, UCS-2, several numbers."""
    from_ = list(senders)
    numbers = itertools.count(1)
    for n in itertools.count(1):
        some = chance.choice((1, 1, 1, 1, 2, 3))
        to = tuple(f"+32475{next(numbers):06d}" for _ in range(some))
        text = f"mail {n} says {chance.getrandbits(64):016x}"
        kind = chance.random()
        if kind < 0.1:
            text += f" {_EURO}" + " and so on" * 20  # two parts
        elif kind < 0.2:
            text += " \N{GREEK SMALL LETTER ALPHA}\N{GRINNING FACE}"  # UCS-2
        yield Mail(n, chance.choice(from_), to, text)


class Connection:
    """One SMTP connection; every wait ends by an exception when the server is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, lmtp: bool = False) -> None:
        self.reader = reader
        self.writer = writer
        self.lmtp = lmtp

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect and say EHLO."""
        return await cls(*await asyncio.open_connection("127.0.0.1", port)).greeted("EHLO")

    @classmethod
    async def open_lmtp(cls, path: str) -> Connection:
        """Connect and say LHLO."""
        return await cls(*await asyncio.open_unix_connection(path), lmtp=True).greeted("LHLO")

    async def greeted(self, word: str) -> Connection:
        """Hear the greeting and answer it."""
        try:
            await self.reply()
            self.writer.write(f"{word} client.example.org\r\n".encode())
            await self.reply()
        except OSError:
            await self.close()
            raise
        return self

    async def reply(self) -> str:
        """The next reply, its last line."""
        while True:
            line = await self.reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionResetError("the server closed the connection")
            if line[3:4] != b"-":
                return line.decode().rstrip()

    async def send(self, mail: Mail) -> str:
        """The reply to one mail: of MAIL, RCPT or DATA where that refused it, else of its end."""
        return await self.send_octets(mail.sender, mail.numbers, mail.octets)

    async def send_octets(self, sender: str, numbers: Sequence[str], octets: bytes) -> str:
        """Likewise, whatever the mail is; no line of it begins with a dot."""
        commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{number[1:]}@sms.example.org>" for number in numbers), "DATA"]
        self.writer.write("".join(f"{command}\r\n" for command in commands).encode())
        replies = [await self.reply() for _ in commands]
        if not replies[-1].startswith("354"):
            self.writer.write(b"RSET\r\n")
            await self.reply()
            return next(reply for reply in replies if not reply.startswith("2"))
        self.writer.write(octets + b".\r\n")
        final = [await self.reply() for _ in (numbers if self.lmtp else (0,))]
        return next((reply for reply in final if not reply.startswith("2")), final[0])

    async def close(self) -> None:
        """Let go."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Senders:
    """What several mail servers have to send, and how each mail was answered.

    A mail that was not answered, or by 4yz, stays in `left` and is sent again by the next `pour`.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.left: list[Mail] = []
        self.taken: dict[int, tuple[Mail, str]] = {}
        self.refused: list[str] = []  # every 4yz and 5yz reply, in order
        self.tries = 0
        self._news = asyncio.Event()

    async def has_taken(self, count: int, pouring: asyncio.Task[bool]) -> None:
        """Returns once this many mails were taken, or `pouring` is at its end."""
        while len(self.taken) < count and not pouring.done():
            news = asyncio.ensure_future(self.news())
            await asyncio.wait({news, pouring}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()

    async def news(self) -> None:
        """Returns once another mail was answered."""
        self._news.clear()
        await self._news.wait()

    async def pour(self, connections: int = 4) -> bool:
        """Send what is left, until all is answered or the server is gone; whether nothing is left."""
        queue, self.left = self.left, []
        await asyncio.gather(*(self._work(queue) for _ in range(connections)))
        self.left += queue
        return not self.left

    async def _work(self, queue: list[Mail]) -> None:
        try:
            connection = await Connection.open(self.port)
        except OSError:
            return
        mail: Mail | None = None
        try:
            while queue:
                mail = queue.pop(0)
                self.tries += 1
                self.note(mail, await connection.send(mail))
                mail = None
        except (OSError, asyncio.IncompleteReadError):
            if mail is not None:
                self.left.append(mail)
        finally:
            await connection.close()

    def note(self, mail: Mail, reply: str) -> None:
        """Remember how a mail was answered."""
        self._news.set()
        if reply.startswith("250"):
            self.taken[mail.n] = (mail, reply.split()[-1])
            return
        self.refused.append(reply)
        if reply.startswith("4"):
            self.left.append(mail)
