"""An SMTP load client: so many mails over so many kept-alive connections, as fast as they go or at a steady rate.

Run as a process of its own, so that its processor time is not the server's:

    python tests/bench/load.py PORT --mails 5000 --connections 10 [--rate 500] [--tag X]

Each mail says a text of its own, `TAG number`. Prints one JSON document: for every mail the monotonic instant (ns, the
same clock in every process of a machine) at which its final dot was written and at which its 250 came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

NUMBERS = 100_000


class RefusedError(Exception):
    """The server said something else than expected."""


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, domain: str) -> None:
        self._reader = reader
        self._writer = writer
        self._domain = domain

    @classmethod
    async def connect(cls, port: int, domain: str) -> Client:
        """Connected and greeted."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port), domain)
        await client._reply(b"220")
        client._writer.write(b"EHLO load.example\r\n")
        await client._reply(b"250")
        return client

    async def send(self, sender: str, number: int, text: str) -> tuple[int, int]:
        """One mail, one recipient; when its final dot was written, and when it was answered."""
        self._writer.write(f"MAIL FROM:<{sender}>\r\nRCPT TO:<32475{number % NUMBERS:06d}@{self._domain}>\r\n".encode())
        await self._reply(b"250")
        await self._reply(b"250")
        self._writer.write(b"DATA\r\n")
        await self._reply(b"354")
        mail = (
            f"From: <{sender}>\r\nTo: <32475{number % NUMBERS:06d}@{self._domain}>\r\nSubject: load\r\n"
            f"Message-ID: <{text.replace(' ', '.')}@load.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            f"{text}\r\n.\r\n"
        )
        self._writer.write(mail.encode())
        written = time.monotonic_ns()
        await self._reply(b"250")
        return written, time.monotonic_ns()

    async def _reply(self, wanted: bytes) -> None:
        while True:
            line = await self._reader.readline()
            if line[3:4] == b"-":
                continue
            if not line.startswith(wanted):
                raise RefusedError(f"expected {wanted.decode()}, got {line.decode(errors='replace').strip()!r}")
            return

    def close(self) -> None:
        """Without a goodbye."""
        self._writer.close()


async def load(args: argparse.Namespace) -> dict[str, list[int]]:
    """Send them all; `{text: [written, answered]}`."""
    clients = [await Client.connect(args.port, args.domain) for _ in range(args.connections)]
    numbers = iter(range(args.mails))
    done: dict[str, list[int]] = {}
    begin = time.monotonic()

    async def work(n: int, client: Client) -> None:
        for number in numbers:
            if args.rate:
                wait = begin + number / args.rate - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
            text = f"{args.tag} {number}"
            done[text] = list(await client.send(args.sender.format(n=number % args.senders), number, text))

    await asyncio.gather(*(work(n, client) for n, client in enumerate(clients)))
    for client in clients:
        client.close()
    return done


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--rate", type=float, default=0.0, help="mails a second; 0: as fast as they go")
    parser.add_argument("--sender", default="a{n}@example.org", help="with {n}: one of --senders accounts")
    parser.add_argument("--senders", type=int, default=10)
    parser.add_argument("--domain", default="sms.example.org")
    parser.add_argument("--tag", default="load")
    json.dump(asyncio.run(load(parser.parse_args())), sys.stdout)


if __name__ == "__main__":
    main()
