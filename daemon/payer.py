"""Who pays for a mail: its sender's proofs weighed, strongest first (CONTRACT, "Who may send")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from daemon.door import Door, Sender
from daemon.envelope import Proofs, paying_address
from filters import trust
from filters.mail import Mail
from gateway.failure import RefusedError


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a mail was judged: who pays, or why nobody does.

    `report_to` is where a failure is told, empty where nobody may be told. `verdict` is there where a relay's word was
    weighed: then the mail is good for the recipients it names only, and once.
    """

    sender: Sender | None
    report_to: str = ""
    refusal: str = ""
    verdict: trust.Verdict | None = None


class Payer:
    """Asks the door whose account stands behind one mail."""

    def __init__(
        self, door: Door, proofs: Proofs, envelope_from: str, authserv_id: str | None, now: Callable[[], datetime]
    ) -> None:
        self._door = door
        self._proofs = proofs
        self._from = envelope_from
        self._authserv_id = authserv_id
        self._now = now
        self._known: dict[str, Sender | None] = {}

    async def early(self) -> Sender | None:
        """Who pays, as the envelope tells; None where only the mail may tell, `RefusedError` where nothing can."""
        address = paying_address(self._from, self._proofs)
        sender = await self._of_envelope(address)
        # A trusted peer may bring a notification, which names its owner: Pigeonhole sends them all from one address.
        later = self._proofs.relay or (self._proofs.trusted and self._proofs.account is None)
        if sender is not None or not self._from or later:
            return sender
        raise RefusedError(self._unproven(address), smtp="550 5.7.1")

    async def late(self, mail: Mail, address: str | None) -> Judgement:
        """Who pays, now that the mail is known; `address` is whom the envelope proves, or a notification's owner."""
        sender = await self._of_envelope(address)
        if sender is not None:
            return Judgement(sender, self._from)
        if not self._proofs.relay or self._proofs.account is not None:
            return Judgement(None, refusal=self._unproven(address))
        verdict = trust.judge(mail, self._authserv_id, now=self._now())
        if verdict.proven is None:
            who = verdict.author or self._from
            return Judgement(
                None, refusal=f"Nothing proves that this mail is from {who}. {verdict.why_not}", verdict=verdict
            )
        author = str(verdict.proven)
        sender = await self.account_of(author)
        if sender is None:
            return Judgement(None, refusal=f"{author} belongs to no account here: {_ADVICE}", verdict=verdict)
        # Nothing proves the reverse-path: a stranger's must not get our reports.
        own = await self.account_of(self._from)
        same = own is not None and own.account == sender.account
        return Judgement(sender, self._from if same else author, verdict=verdict)

    async def account_of(self, address: str) -> Sender | None:
        """The account of an address, proven or not."""
        if address not in self._known:
            self._known[address] = await self._door.account_for(address)
        return self._known[address]

    async def _of_envelope(self, address: str | None) -> Sender | None:
        sender = await self.account_of(address) if address else None
        logged_in = self._proofs.account
        return sender if logged_in is None or (sender is not None and sender.account == logged_in) else None

    def _unproven(self, address: str | None) -> str:
        if address and self._proofs.account is not None:
            return f"{address} is no address of the account that has logged in: send from one that is"
        if address:
            return f"{address} belongs to no account here: {_ADVICE}"
        advice = "send it through your own mail server, which knows you"
        return f"Nothing proves that this mail is from {self._from}: {advice}"


_ADVICE = "ask the operator to add it, or send from an address of your account"
