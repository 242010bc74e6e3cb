"""One mail on its way in: its envelope as it grows, the account that pays, and what each recipient is answered.

Nothing here knows the wire: `Session` speaks, and asks this for decisions and replies.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon import addresses, esmtp, letter
from daemon.door import Door, MailRecipient, MailRequest, Numbers, Sender, Taken
from daemon.envelope import Ignored, Proofs, judge, paying_address
from daemon.peers import Peer
from gateway.failure import RefusedError

log = logging.getLogger(__name__)

TRY_AGAIN = "451 4.3.0 Something is wrong here, and it is not your mail: please try again later"
IGNORED = "250 2.0.0 Taken, and ignored: nothing answers automatic mail"


@dataclass(frozen=True, slots=True)
class House:
    """What a reception needs of the house: the door, how numbers are read, how requests are handed in."""

    door: Door
    numbers: Numbers
    take: Callable[[MailRequest], Awaitable[Taken]]
    read: Callable[[bytes], Awaitable[letter.Letter]]
    sms_domain: str
    region: str | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A recipient the client was promised: what was written, and its number where the sender was known already."""

    number: addresses.Number
    written: str
    options: esmtp.RcptParameters
    resolved: MailRecipient | None


class Reception:
    """A mail transaction, from MAIL to the replies after DATA."""

    def __init__(
        self, house: House, peer: Peer, proofs: Proofs, path: esmtp.Path, parameters: esmtp.MailParameters
    ) -> None:
        self._house = house
        self._peer = peer
        self._proofs = proofs
        self._from = str(path)
        self._parameters = parameters
        self._senders: dict[str, Sender | None] = {}
        self._wanted: list[_Wanted] = []

    def __len__(self) -> int:
        """How many recipients were promised."""
        return len(self._wanted)

    async def add(self, path: esmtp.Path, options: esmtp.RcptParameters) -> None:
        """One more recipient; `RefusedError` says why not."""
        number = addresses.destination(path, self._house.sms_domain)
        if isinstance(number, addresses.Postmaster):
            log.warning("mail for the postmaster cannot be forwarded", extra={"action": "postmaster_unreachable"})
            raise RefusedError("Mail to the postmaster cannot be forwarded at the moment", smtp="451 4.3.5")
        resolved = None
        if self._from:  # with a null reverse-path, only the mail itself may tell whose it is
            sender = await self._sender(paying_address(self._from, self._proofs))
            resolved = await self._resolve(sender, number, path.written, options)
        self._wanted.append(_Wanted(number, path.written, options, resolved))

    async def receive(self, octets: bytes) -> list[str]:
        """The replies after DATA, one for each recipient that was promised."""
        try:
            read = await self._house.read(octets)
            decided = judge(self._from, self._proofs, read.mail)
            if isinstance(decided, Ignored):
                self._log("a mail was ignored", "mail_ignored", why=decided.why)
                return [IGNORED] * len(self._wanted)
            return await self._carry(read, decided.address)
        except RefusedError as refused:
            self._log("a mail was refused", "mail_refused", reply=refused.smtp)
            return [esmtp.reply(refused.smtp, str(refused))] * len(self._wanted)
        except Exception:
            log.exception("a mail could not be taken", extra={"action": "mail_not_taken", "peer": str(self._peer)})
            return [TRY_AGAIN] * len(self._wanted)

    async def _carry(self, read: letter.Letter, address: str | None) -> list[str]:
        sender = await self._sender(address)
        results = [await self._result(sender, wanted, address == self._from) for wanted in self._wanted]
        recipients = tuple(result for result in results if isinstance(result, MailRecipient))
        done = ""
        if recipients:
            request = letter.request(
                read,
                sender,
                recipients,
                envelope_from=self._from,
                envid=self._parameters.envid,
                ret=self._parameters.ret,
            )
            taken = await self._house.take(request)
            done = f"250 2.0.0 queued as {taken.id}"
            if taken.seen:
                self._log("a mail was seen before", "mail_seen_before", message_id=taken.id)
            else:
                self._log("a mail was taken", "mail_taken", message_id=taken.id)
        return [done if isinstance(result, MailRecipient) else result for result in results]

    async def _result(self, sender: Sender, wanted: _Wanted, same: bool) -> MailRecipient | str:
        """The recipient, or the reply that refuses it; looked at anew where somebody else pays than was thought."""
        if same and wanted.resolved is not None:
            return wanted.resolved
        try:
            return await self._resolve(sender, wanted.number, wanted.written, wanted.options)
        except RefusedError as refused:
            self._log("a recipient was refused", "recipient_refused", reply=refused.smtp)
            return esmtp.reply(refused.smtp, str(refused))

    async def _resolve(
        self, sender: Sender, number: addresses.Number, written: str, options: esmtp.RcptParameters
    ) -> MailRecipient:
        read = self._house.numbers(number.text, sender.region or self._house.region)
        await self._house.door.check_recipient(sender, read)
        return MailRecipient(read, written, options.notify, options.orcpt)

    async def _sender(self, address: str | None) -> Sender:
        """The account this address belongs to; `RefusedError` (550 5.7.1) where none pays."""
        if address and address not in self._senders:
            self._senders[address] = await self._house.door.account_for(address)
        sender = self._senders.get(address) if address else None
        if sender is not None:
            return sender
        if self._proofs.trusted:
            advice = "ask the operator to add it, or send from an address of your account"
            raise RefusedError(f"{address} belongs to no account here: {advice}", smtp="550 5.7.1")
        advice = "send it through your own mail server, which knows you"
        raise RefusedError(f"Nothing proves that this mail is from {self._from}: {advice}", smtp="550 5.7.1")

    def _log(self, words: str, action: str, **facts: str) -> None:
        log.info(words, extra={"action": action, "peer": str(self._peer), **facts})
