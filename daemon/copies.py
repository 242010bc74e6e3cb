"""Copies of users' mails, for their filters: `ACCOUNT@watch_domain`, from relays and trusted networks only.

A copy says nothing to anybody: it is never answered, and what is a bounce or an automatic answer to others is a mail
like any other to the filters of whom it came for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from daemon import esmtp
from daemon.door import Door
from daemon.envelope import Proofs
from daemon.peers import Peer
from filters.context import Source
from filters.mail import Mail
from gateway.failure import RefusedError
from gateway.forwarding import check_hops
from gateway.notices import Arrived

log = logging.getLogger(__name__)

TRY_AGAIN = "451 4.3.0 Something is wrong here, and it is not your mail: please try again later"
TAKEN = "250 2.0.0 Taken, for the filters of its account"
IGNORED = "250 2.0.0 Taken, and ignored: it went through too many servers"

#: Where servers write down for whom a mail was, before it was copied to us.
_FOR_WHOM = ("x-original-to", "delivered-to", "x-sieve-redirected-from", "envelope-to")


@dataclass(frozen=True, slots=True)
class _Copy:
    """A recipient: its account, and for whom the mail was, as the envelope says it."""

    written: str
    account: int
    original: str


class Copies:
    """The copies in one mail transaction."""

    def __init__(self, door: Door, peer: Peer, proofs: Proofs, envelope_from: str, authserv_id: str | None) -> None:
        self._door = door
        self._peer = peer
        self._proofs = proofs
        self._from = envelope_from
        # What a server lets its users write is no word of its own: only a relay's is believed.
        self._authserv_id = authserv_id if proofs.relay else None
        self._copies: list[_Copy] = []

    async def add(self, name: str, path: esmtp.Path, options: esmtp.RcptParameters) -> None:
        """One more recipient; `RefusedError` (550 5.7.1, 550 5.1.1) where it is not taken."""
        if not (self._proofs.trusted or self._proofs.relay):
            raise RefusedError(
                f"Copies for {path.domain} come from relays and trusted networks only, and {self._peer} is neither",
                smtp="550 5.7.1",
            )
        account = await self._door.watched(name)
        self._copies.append(_Copy(str(path), account, options.orcpt.partition(";")[2]))

    async def receive(self, octets: bytes, mail: Mail) -> dict[str, str]:
        """The reply for each of them, by its path as written."""
        replies = await asyncio.gather(*(self._note(one, octets, mail) for one in self._copies))
        return {one.written: reply for one, reply in zip(self._copies, replies, strict=True)}

    async def _note(self, copy: _Copy, octets: bytes, mail: Mail) -> str:
        facts = {"peer": str(self._peer)}
        try:
            check_hops(mail)
        except RefusedError:
            # A refusal would come back to whoever wrote the mail, who knows nothing of a copy.
            log.warning("a copy went through too many servers", extra={"action": "copy_ignored", **facts})
            return IGNORED
        try:
            messages = await self._door.note(
                Arrived(
                    account=copy.account,
                    mail=mail,
                    source=Source("smtp"),
                    octets=octets,
                    envelope_from=self._from,
                    envelope_to=tuple(dict.fromkeys(_for_whom(copy, mail))),
                    authserv_id=self._authserv_id,
                )
            )
        except Exception as error:
            log.error("a copy could not be taken", exc_info=error, extra={"action": "copy_not_taken", **facts})
            return TRY_AGAIN
        if not messages:
            log.info("a copy was taken", extra={"action": "copy_taken", **facts})
            return TAKEN
        log.info("a copy was told of", extra={"action": "copy_told", "message_id": str(messages[0]), **facts})
        return f"250 2.0.0 queued as {messages[0]}"


def _for_whom(copy: _Copy, mail: Mail) -> Iterator[str]:
    """Whom the mail was for: what came with the copy, then what the last server noted in the header."""
    if copy.original:
        yield copy.original
    for name in _FOR_WHOM:
        values = mail.header(name)
        if values and values[0].strip("<> "):
            yield values[0].strip("<> ")
    yield copy.written


def one_for_all(replies: list[str], copied: list[bool]) -> list[str]:
    """The replies where one stands for all, and some (`copied`) are of copies.

    What is to be tried again comes first: nothing is made twice of a mail that comes again. Then what the others are
    told, for nobody is told of a copy.
    """
    if not any(copied):
        return replies
    again = next((reply for reply in replies if reply.startswith("4")), None)
    others = [reply for reply, copy in zip(replies, copied, strict=True) if not copy]
    taken = next((reply for reply in others or replies if reply.startswith("2")), None)
    return [again or taken or (others or replies)[0]] * len(replies)
