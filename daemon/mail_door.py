"""The house behind the listener's door: who is this, may this number be reached, take this mail.

`daemon.door.Door` on the store.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from daemon.door import MailRequest, Sender, Taken
from daemon.postmaster import Postmaster
from filters.mail import Mail
from filters.returned import Returned
from filters.returned import read as read_returned
from gateway import accounts, draft, optouts, quote, returned_mail, special, verbs, verdicts
from gateway.credit import NotEnoughError
from gateway.dsn import Asked, Wish, wishes
from gateway.failure import RefusedError
from gateway.forwarding import Arrival
from gateway.message import Channel, Origin
from gateway.notices import Arrived
from gateway.notifier import Notifier
from gateway.reports import Office
from gateway.routing import Route
from gateway.store.store import Store

log = logging.getLogger(__name__)

#: How long what is known of a sender is believed, in seconds; the transaction that takes his mail asks again.
_MEMORY = 1.0
_MOST_REMEMBERED = 10_000
#: Reports of mail servers up to this size are read at once, in octets.
_SHORT = 32 * 1024
#: How long a report is kept waiting that comes before the answer it belongs to is recorded, in seconds.
_TOO_EARLY = (0.1, 0.3, 1.0)


class MailDoor:
    """Takes mails in, each in a transaction that it shares with others."""

    def __init__(
        self,
        store: Store,
        routes: Callable[[], Sequence[Route]],
        taken: Callable[[Sequence[str]], None],
        office: Callable[[], Office],
        *,
        notifier: Notifier,
        now: Callable[[], datetime],
    ) -> None:
        """`taken` is told, after the commit, which routes have work; `office` is who signs verdicts; `notifier` hands
        copies to filters."""
        self._notifier = notifier
        self._watched: dict[str, tuple[float, int | None]] = {}
        self._store = store
        self._routes = routes
        self._taken = taken
        self._office = office
        self._now = now
        self._postmaster = Postmaster(store, office, taken, now=now)
        self._known: dict[str, tuple[float, accounts.Account | None]] = {}
        self._accounts: dict[int, accounts.Account] = {}
        self._opted_out = (-_MEMORY, False)

    async def account_for(self, address: str) -> Sender | None:
        """Who sends from this address; None for a stranger. Raises StoreError where nobody can tell."""
        account = await self._account(address.lower())
        if account is None:
            return None
        return Sender(
            account=account.id,
            name=account.name,
            region=account.region,
            text=account.text,
            signature=account.signature,
        )

    async def _account(self, address: str) -> accounts.Account | None:
        known = self._known.get(address)
        if known is not None and time.monotonic() - known[0] < _MEMORY:
            return known[1]
        account = await self._store.read(lambda connection: accounts.by_address(connection, address))
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
            self._accounts.clear()
        if account is not None:
            self._accounts[account.id] = account
        self._known[address] = (time.monotonic(), account)
        return account

    async def _by_id(self, number: int) -> accounts.Account:
        """The account as it was when its sender was asked about."""
        known = self._accounts.get(number)
        if known is None:
            known = await self._store.read(lambda connection: accounts.by_id(connection, number))
            if known is None:
                raise RefusedError("this account does not exist any more")
            self._accounts[number] = known
        return known

    async def check_recipient(self, sender: Sender, number: str) -> None:
        """RefusedError where no route takes this number (550 5.1.2), or its owner wants nothing (550 5.7.1)."""
        draft.route_for(self._routes(), Channel.SMS, number)
        if await self._anybody_opted_out():
            out = await self._store.read(lambda connection: optouts.among(connection, sender.account, [number]))
            if number in out:
                raise RefusedError(out[number], smtp="550 5.7.1")

    async def _anybody_opted_out(self) -> bool:
        asked, answer = self._opted_out
        if time.monotonic() - asked >= _MEMORY:
            answer = await self._store.read(optouts.anybody)
            self._opted_out = (time.monotonic(), answer)
        return answer

    async def check_name(self, sender: Sender, name: str) -> None:
        """RefusedError (550 5.1.1) where the sender has no list and no contact of this name that can be reached."""
        account = await self._by_id(sender.account)
        await self._store.read(lambda connection: special.check(connection, account, name))

    def check_postmaster(self, *, stranger: bool) -> None:
        """RefusedError where mail to the postmaster cannot be taken now."""
        self._postmaster.check(stranger=stranger)

    async def forward(self, octets: bytes, mail: Mail, arrival: Arrival, *, stranger: bool) -> Taken:
        """Take a mail for the postmaster; returns after the commit."""
        return await self._postmaster.forward(octets, mail, arrival, stranger=stranger)

    async def returned(self, octets: bytes) -> str | None:
        """Note what a mail with a null reverse-path reports of an e-mail of ours; the id of its message, or None."""
        # A large one is read beside the loop, as the listener does.
        short = len(octets) <= _SHORT
        report = read_returned(octets) if short else await asyncio.to_thread(read_returned, octets)
        if report is None or not report.names:
            return None
        told = await self._settle_returned(report)
        if told is None:
            return None
        extra = {"action": "mail_returned", "message_id": str(told.message), "state": told.state or ""}
        log.info("a report on a mail of ours: %s", told.action, extra=extra)
        return str(told.message)

    async def _settle_returned(self, report: Returned) -> returned_mail.Told | None:
        """A report may overtake the answer to its mail by a moment; mail servers come again only after minutes."""
        for wait in _TOO_EARLY:
            try:
                return await self._store.run(lambda connection: returned_mail.settle(connection, report, self._now()))
            except RefusedError:
                await asyncio.sleep(wait)
        return await self._store.run(lambda connection: returned_mail.settle(connection, report, self._now()))

    async def tell_verdict(self, account: int, address: str, words: str, about: str) -> str | None:
        """Mail an account how its mail was judged; None where it was told often enough, or cannot be."""
        told = await self._store.run(
            lambda connection: verdicts.tell(
                connection,
                self._store.identifiers,
                self._office(),
                account=account,
                address=address,
                words=words,
                about=about,
                now=self._now(),
            )
        )
        if told is None:
            return None
        message, route = told
        self._taken([route])
        return str(message)

    async def watched(self, name: str) -> int:
        """The account whose mails are copied to this name; `RefusedError` (550 5.1.1) where there is none."""
        known = self._watched.get(name)
        if known is None or time.monotonic() - known[0] >= _MEMORY:
            if len(self._watched) >= _MOST_REMEMBERED:
                self._watched.clear()
            found = await self._store.read(lambda connection: accounts.by_local_part(connection, name))
            known = self._watched[name] = (time.monotonic(), found)
        if known[1] is None:
            raise RefusedError(f"{name} is no account here: write its name before the @", smtp="550 5.1.1")
        return known[1]

    async def note(self, arrived: Arrived) -> tuple[int, ...]:
        """Hand a copy to the filters of its account; the messages that left at once, after the commit."""
        (noted,) = await self._notifier.take([arrived])
        return noted.messages

    async def password_of(self, user: str) -> tuple[int, str | None] | None:
        """The id and the password's hash of the account a user logs in as (`daemon.login.Passwords`)."""
        return await self._store.read(lambda connection: accounts.password_hash(connection, user))

    async def replace_password(self, account: int, before: str, after: str) -> None:
        """Keep the same password under newer parameters."""
        await self._store.run(lambda connection: accounts.replace_password_hash(connection, account, before, after))

    async def _prepare(self, account: accounts.Account, request: MailRequest) -> draft.Draft:
        """The draft of a mail; the lists it names are expanded as they are now."""
        numbers = tuple(
            (
                (draft.Recipient(Channel.SMS, one.number, one.written, one.once),),
                Wish(one.notify, one.orcpt),
            )
            for one in request.recipients
            if not one.named
        )
        named = [one for one in request.recipients if one.named]
        wanted = _request(request)
        how: dict[str, Any] = {
            "routes": self._routes(),
            "now": self._now(),
            "max_parts": account.max_parts,
            "transliterate": account.transliterate,
        }
        if not named:
            recipients = tuple(one for some, _ in numbers for one in some)
            return draft.prepare(replace(wanted, recipients=recipients, dsn=_asked(request, numbers)), **how)
        names = [special.Name(one.named, one.once, Wish(one.notify, one.orcpt)) for one in named]
        meant, left_out = await self._store.read(lambda connection: special.meant(connection, account, names))
        everybody = (*numbers, *meant)
        recipients = tuple(one for some, _ in everybody for one in some)
        wanted = replace(wanted, recipients=recipients, left_out=left_out, dsn=_asked(request, everybody))
        found = quote.quote(wanted, **how)
        error = found.objection()
        if error is not None or found.draft is None:
            raise error or RefusedError("there is no recipient", smtp="554 5.5.1")
        return found.draft

    async def take(self, request: MailRequest) -> Taken:
        """Returns after the commit; RefusedError where it is not to be sent."""
        account = await self._by_id(request.sender.account)
        prepared = await self._prepare(account, request)
        try:
            taken = await self._store.do(verbs.SUBMIT, prepared)
        except NotEnoughError as error:
            raise RefusedError(
                f"{error}; nothing was sent to anybody, and nothing is charged", smtp=error.smtp
            ) from None
        self._taken(list(prepared.ways))
        return Taken(str(taken.id), taken.seen)


def _request(request: MailRequest) -> draft.Request:
    """What a mail asks for, without its recipients."""
    return draft.Request(
        account=request.sender.account,
        origin=Origin.MAIL,
        recipients=(),
        text=request.text,
        subject=request.subject,
        key=mail_key(request),
        automatic=request.automatic,
        report_to=request.envelope_from or None,
    )


def mail_key(request: MailRequest) -> bytes:
    """A mail's key within its account (invariant I3): Message-ID and what is to be sent, else the whole of DATA."""
    return hashlib.sha256(b"mail\0" + request.message_id.encode() + b"\0" + request.digest).digest()


def _asked(request: MailRequest, meant: Sequence[special.Meant]) -> Asked:
    """What was asked of RFC 3461, kept with the message."""
    wished = ((one.address, wish) for recipients, wish in meant for one in recipients)
    return Asked(request.envid, request.ret, request.message_id, wishes(wished))
