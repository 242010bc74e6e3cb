"""One mail on its way in: its envelope as it grows, the account that pays, and what each recipient is answered.

Nothing here knows the wire: `Session` speaks, and asks this for decisions and replies.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from daemon import addresses, copies, esmtp, explanation, letter
from daemon.door import Door, MailRecipient, MailRequest, Numbers, Sender, Taken
from daemon.envelope import Ignored, Proofs, judge
from daemon.payer import Judgement, Payer
from daemon.peers import Peer
from filters.address_list import Mailbox
from filters.mail import Mail
from gateway import names
from gateway import numbers as telephone
from gateway.failure import RefusedError
from gateway.forwarding import Arrival, check_hops

log = logging.getLogger(__name__)

TRY_AGAIN = "451 4.3.0 Something is wrong here, and it is not your mail: please try again later"
NOTED = "250 2.0.0 Taken: it tells what became of a mail from here"
IGNORED = "250 2.0.0 Taken, and ignored: nothing answers automatic mail"


@dataclass(frozen=True, slots=True)
class House:
    """What a reception needs of the house: the door, how numbers are read, how requests are handed in, the time.

    Of relays, the Authentication-Results of `authserv_id` are believed.
    """

    door: Door
    numbers: Numbers
    take: Callable[[MailRequest], Awaitable[Taken]]
    read: Callable[[bytes], Awaitable[letter.Letter]]
    sms_domain: str
    region: str | None
    authserv_id: str | None
    now: Callable[[], datetime]
    watch_domain: str = ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A recipient the client was promised: what it stands for, and its number where the sender was known already."""

    what: addresses.Number | addresses.Named | addresses.Asked | addresses.Postmaster | addresses.Watched
    path: esmtp.Path
    options: esmtp.RcptParameters
    sender: Sender | None = None
    resolved: MailRecipient | None = None


class Reception:
    """A mail transaction, from MAIL to the replies after DATA."""

    def __init__(
        self,
        house: House,
        peer: Peer,
        proofs: Proofs,
        path: esmtp.Path,
        parameters: esmtp.MailParameters,
        *,
        arrival: Arrival,
        each: bool = False,
    ) -> None:
        """With `each`, every recipient gets its own reply (LMTP); else one reply is for all."""
        self._house = house
        self._peer = peer
        self._proofs = proofs
        self._from = str(path)
        self._parameters = parameters
        self._arrival = arrival
        self._each = each
        self._payer = Payer(house.door, proofs, self._from, house.authserv_id, house.now)
        self._copies = copies.Copies(house.door, peer, proofs, self._from, house.authserv_id)
        self._wanted: list[_Wanted] = []

    def __len__(self) -> int:
        """How many recipients were promised."""
        return len(self._wanted)

    async def add(self, path: esmtp.Path, options: esmtp.RcptParameters) -> str:
        """One more recipient: advice where it is written wrongly; `RefusedError` says why not."""
        what = addresses.destination(path, self._house.sms_domain, self._house.watch_domain)
        if isinstance(what, addresses.Watched):
            await self._copies.add(what.name, path, options)
        postmaster = isinstance(what, addresses.Postmaster)
        if postmaster:
            self._house.door.check_postmaster(stranger=self._stranger)
        if not self._each and any(isinstance(one.what, addresses.Postmaster) != postmaster for one in self._wanted):
            # One reply would have to say what became of both.
            raise RefusedError("Mail to the postmaster goes alone: send it to the others by itself", smtp="452 4.5.3")
        if not isinstance(what, addresses.Number | addresses.Named):
            self._wanted.append(_Wanted(what, path, options))
            return ""
        # With a null reverse-path, from a relay, or in a notification, only the mail itself may tell whose it is.
        sender = await self._payer.early()
        resolved = await self._resolve(sender, what, path.written, options) if sender is not None else None
        self._wanted.append(_Wanted(what, path, options, sender, resolved))
        if sender is None or resolved is None or isinstance(what, addresses.Named):
            return ""
        return self._advice(what.text, sender, resolved)

    def _advice(self, written: str, sender: Sender, resolved: MailRecipient) -> str:
        """What is wrong with a number that was understood all the same."""
        if written.lstrip("+") == resolved.number[1:]:
            return ""
        return telephone.read(written, sender.region or self._house.region).advice or ""

    @property
    def _stranger(self) -> bool:
        """Whether nothing speaks for who is there, not even that he may send as himself."""
        return not self._proofs.trusted and self._proofs.account is None

    async def receive(self, octets: bytes) -> list[str]:
        """The replies after DATA, one for each recipient that was promised."""
        try:
            read = await self._house.read(octets)
        except Exception as error:
            return [self._refusal(error)] * len(self._wanted)
        copied = await self._copies.receive(octets, read.mail)
        posted = [isinstance(one.what, addresses.Postmaster) for one in self._wanted]
        watched = [isinstance(one.what, addresses.Watched) for one in self._wanted]
        forwarded = await self._forward(octets, read.mail) if any(posted) else ""
        apart = all(map(bool.__or__, posted, watched))
        others = [""] * len(posted) if apart else await self._decide(octets, read)
        replies = [
            forwarded if post else copied[str(one.path)] if watch else other
            for one, post, watch, other in zip(self._wanted, posted, watched, others, strict=True)
        ]
        return replies if self._each else copies.one_for_all(replies, watched)

    async def _forward(self, octets: bytes, mail: Mail) -> str:
        """The reply for the postmaster."""
        try:
            taken = await self._house.door.forward(octets, mail, self._arrival, stranger=self._stranger)
        except Exception as error:
            return self._refusal(error)
        self._log("a mail for the postmaster was taken", "postmaster_mail_taken", message_id=taken.id)
        return f"250 2.0.0 queued as {taken.id}"

    async def _decide(self, octets: bytes, read: letter.Letter) -> list[str]:
        """A reply for every recipient; those for the postmaster are empty."""
        try:
            check_hops(read.mail)
            report = not self._from and read.mail.type == "multipart/report"
            if report and await self._house.door.returned(octets) is not None:
                return [NOTED] * len(self._wanted)
            decided = judge(self._from, self._proofs, read.mail)
            if isinstance(decided, Ignored):
                self._log("a mail was ignored", "mail_ignored", why=decided.why)
                return [IGNORED] * len(self._wanted)
            judgement = await self._payer.late(read.mail, decided.address)
            told = await self._tell(read, judgement)
            return [
                told if isinstance(one.what, addresses.Asked) else reply
                for one, reply in zip(self._wanted, await self._carry(read, judgement), strict=True)
            ]
        except Exception as error:
            return [self._refusal(error)] * len(self._wanted)

    def _refusal(self, error: Exception) -> str:
        """The reply for what went wrong: our defects show nothing of themselves."""
        if isinstance(error, RefusedError):
            self._log("a mail was refused", "mail_refused", reply=error.smtp)
            return esmtp.reply(error.smtp, str(error))
        facts = {"action": "mail_not_taken", "peer": str(self._peer)}
        log.error("a mail could not be taken", exc_info=error, extra=facts)
        return TRY_AGAIN

    async def _carry(self, read: letter.Letter, judgement: Judgement) -> list[str]:
        """A reply for every recipient; those that are no numbers get none of their own here."""
        results = [await self._result(judgement, wanted) for wanted in self._wanted]
        refusals = [result for result in results if isinstance(result, str) and result]
        recipients = tuple(result for result in results if isinstance(result, MailRecipient))
        if judgement.sender is None or not recipients:
            return [result if isinstance(result, str) else "" for result in results]
        if refusals and not self._each:
            return [refusals[0]] * len(results)  # one reply for all: what is not sent to one is sent to none
        try:
            request = letter.request(
                read,
                judgement.sender,
                recipients,
                envelope_from=judgement.report_to,
                envid=self._parameters.envid,
                ret=self._parameters.ret,
            )
            done = await self._take(request)
        except Exception as error:
            done = self._refusal(error)
        return [done if isinstance(result, MailRecipient) else result for result in results]

    async def _take(self, request: MailRequest) -> str:
        taken = await self._house.take(request)
        if taken.seen:
            self._log("a mail was seen before", "mail_seen_before", message_id=taken.id)
        else:
            self._log("a mail was taken", "mail_taken", message_id=taken.id)
        return f"250 2.0.0 queued as {taken.id}"

    async def _result(self, judgement: Judgement, wanted: _Wanted) -> MailRecipient | str:
        """The recipient, or the reply that refuses it; looked at anew where somebody else pays than was thought."""
        if not isinstance(wanted.what, addresses.Number | addresses.Named):
            return ""
        try:
            if judgement.sender is None:
                raise RefusedError(judgement.refusal, smtp="550 5.7.1")
            verdict = judgement.verdict
            if verdict is not None and not verdict.is_for(Mailbox(wanted.path.local, wanted.path.domain)):
                raise RefusedError(
                    f"{wanted.path} stands neither in To nor in Cc, as far as they are signed: write it there, for "
                    "anybody could have sent a copy of this mail here",
                    smtp="550 5.7.1",
                )
            if wanted.resolved is not None and wanted.sender == judgement.sender:
                return wanted.resolved
            found = await self._resolve(judgement.sender, wanted.what, wanted.path.written, wanted.options)
            return found if verdict is None else replace(found, once=verdict.replay_keys(_key(found)))
        except RefusedError as refused:
            self._log("a recipient was refused", "recipient_refused", reply=refused.smtp)
            return esmtp.reply(refused.smtp, str(refused))

    async def _resolve(
        self, sender: Sender, what: addresses.Number | addresses.Named, written: str, options: esmtp.RcptParameters
    ) -> MailRecipient:
        if isinstance(what, addresses.Named):
            await self._house.door.check_name(sender, what.text)
            return MailRecipient("", written, options.notify, options.orcpt, named=what.text)
        read = self._house.numbers(what.text, sender.region or self._house.region)
        await self._house.door.check_recipient(sender, read)
        return MailRecipient(read, written, options.notify, options.orcpt)

    async def _tell(self, read: letter.Letter, judgement: Judgement) -> str:
        """The reply to `verdict@`: the verdict goes by mail to an account's address, to anybody else in the reply."""
        if not any(isinstance(one.what, addresses.Asked) for one in self._wanted):
            return ""
        words = explanation.sentences(self._peer, self._proofs, self._from, judgement)
        if not read.mail.is_automatic:
            author = str(judgement.verdict.author) if judgement.verdict and judgement.verdict.author else ""
            for address in filter(None, (judgement.report_to, self._from, author)):
                account = await self._payer.account_of(address)
                if account is None:
                    continue
                told = await self._house.door.tell_verdict(
                    account.account, address, "\n\n".join(words), read.mail.message_id
                )
                if told is not None:
                    self._log("a verdict was mailed", "verdict_mailed", message_id=told)
                    return f"250 2.0.0 queued as {told}"
                break
        self._log("a verdict was told", "verdict_told")
        return esmtp.reply("550 5.7.1", " ".join(words))

    def _log(self, words: str, action: str, **facts: str) -> None:
        log.info(words, extra={"action": action, "peer": str(self._peer), **facts})


def _key(recipient: MailRecipient) -> str:
    """What a recipient is known by, however it was written."""
    return recipient.number or f"name:{names.fold(recipient.named)}"
