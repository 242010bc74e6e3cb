"""An IMAP server that misbehaves by a script, for faults no real one can be asked for."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

#: What answers a command: its tag, its name and the rest, and the connection to answer on. True: that was all.
Answer = Callable[["Talk", bytes, bytes], bool]


class Talk:
    """One connection, from the server's side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")
        self.tag = b""

    def say(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def ok(self, what: bytes = b"done") -> bool:
        self.say(self.tag + b" OK " + what + b"\r\n")
        return True


class Scripted:
    """Answers as a plain server with one empty INBOX would, but for the commands in `answers`."""

    def __init__(self, *, greeting: bytes = b"* OK ready\r\n", **answers: Answer) -> None:
        self.greeting = greeting
        self.answers = {name.upper().encode(): answer for name, answer in answers.items()}
        self.accepted: list[float] = []
        self.commands: list[bytes] = []
        self.talks: list[Talk] = []
        self.idling = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        return len(self.accepted)

    def close(self) -> None:
        self._listener.close()
        for talk in self.talks:
            talk.sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted.append(time.monotonic())
            talk = Talk(sock)
            self.talks.append(talk)
            threading.Thread(target=self._serve, args=(talk,), daemon=True).start()

    def _serve(self, talk: Talk) -> None:
        try:
            talk.say(self.greeting)
            for line in talk.file:
                self._command(talk, line)
        except (OSError, ValueError):
            pass

    def _command(self, talk: Talk, line: bytes) -> None:
        if line.strip().upper() == b"DONE":
            talk.ok()
            return
        talk.tag, _, rest = line.strip().partition(b" ")
        name, _, arguments = rest.partition(b" ")
        if name.upper() == b"UID":
            name, _, arguments = arguments.partition(b" ")
        self.commands.append(name.upper())
        answer = self.answers.get(name.upper())
        if answer is not None and answer(talk, name, arguments):
            return
        getattr(self, "_" + name.decode("ascii", "replace").lower(), lambda talk, _: talk.ok())(talk, arguments)

    def _capability(self, talk: Talk, _: bytes) -> Any:
        talk.say(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
        talk.ok()

    def _examine(self, talk: Talk, _: bytes) -> Any:
        talk.say(b"* 0 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 1] ok\r\n")
        talk.ok(b"[READ-ONLY] opened")

    def _search(self, talk: Talk, _: bytes) -> Any:
        talk.say(b"* SEARCH\r\n")
        talk.ok()

    def _idle(self, talk: Talk, _: bytes) -> Any:
        talk.say(b"+ idling\r\n")
        self.idling.release()

    def _logout(self, talk: Talk, _: bytes) -> Any:
        talk.say(b"* BYE\r\n")
        talk.ok()


def mails(*headers: bytes) -> dict[str, Answer]:
    """Answers of a folder that has these mails, with UIDs from 1, and nothing but a header each."""

    def search(talk: Talk, _: bytes, asked: bytes) -> bool:
        found = re.search(rb"(\d+):\*", asked)
        first = int(found[1]) if found else 1
        uids = [uid for uid in range(1, len(headers) + 1) if uid >= first] or [len(headers)]
        talk.say(b"* SEARCH" + b"".join(b" %d" % uid for uid in uids) + b"\r\n")
        return talk.ok()

    def fetch(talk: Talk, _: bytes, asked: bytes) -> bool:
        if b"HEADER" not in asked:  # the text of the one mail that is asked for: it has none
            talk.say(b"* 1 FETCH (UID %b BODY[1]<0> {0}\r\n)\r\n" % asked.partition(b" ")[0])
            return talk.ok()
        most = re.search(rb"HEADER\]<0\.(\d+)>", asked)
        for uid, header in enumerate(headers, 1):
            if not re.match(rb"(?:.*[,: ])?%d\b" % uid, asked):
                continue
            octets = header[: int(most[1])] if most else header
            structure = b' BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 0 0)' if b"BODYSTRUCTURE" in asked else b""
            facts = b' INTERNALDATE "02-Mar-2026 12:00:00 +0000" RFC822.SIZE %d FLAGS ()' % len(header)
            talk.say(b"* %d FETCH (UID %d%b%b BODY[HEADER]<0> {%d}\r\n" % (uid, uid, facts, structure, len(octets)))
            talk.say(octets + b")\r\n")
        return talk.ok()

    def examine(talk: Talk, _: bytes, __: bytes) -> bool:
        talk.say(
            b"* %d EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT %d] ok\r\n" % (len(headers), len(headers) + 1)
        )
        return talk.ok(b"[READ-ONLY] opened")

    return {"search": search, "fetch": fetch, "examine": examine}
