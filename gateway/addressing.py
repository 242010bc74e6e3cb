"""Whom a message is for: numbers, e-mail addresses, contacts' names and lists, as people write them, made recipients.

Who is named himself and cannot be reached is refused, and so is the message; who stands on a list and cannot be
reached is left out and named, and the others get it. Nobody gets it twice over one channel, however often he is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection

from gateway import contacts, lists, mail_address, names, numbers, optouts
from gateway.accounts import Account
from gateway.contacts import Contact
from gateway.draft import LeftOut, Recipient
from gateway.failure import RefusedError
from gateway.message import Channel
from gateway.quote import Refusal

#: What stands before the name of a list or a contact where it must be told from the other.
LIST, CONTACT = "list:", "contact:"
#: The account's own number or address.
ME = "me"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Recipients as written. In `sms`, `email` and `fax`: a number, an address, a contact's name (`contact:NAME` if it
    must be told from something else), `list:NAME` for all its members over that channel, or `me`.

    `lists` are names of lists whose members are reached as suits them: numbers and who has one by SMS, others by
    e-mail.
    """

    sms: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    fax: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[tuple[Channel, str]]:
        for channel, some in ((Channel.SMS, self.sms), (Channel.EMAIL, self.email), (Channel.FAX, self.fax)):
            for written in some:
                yield channel, written


@dataclass(frozen=True, slots=True)
class Resolved:
    """Who gets it, who of those named cannot, and who on a list cannot."""

    recipients: tuple[Recipient, ...]
    refused: tuple[Refusal, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def resolve(connection: Connection, account: Account, wanted: Wanted, *, region: str | None) -> Resolved:
    """The recipients these words stand for; `region` is where national numbers are if the account has none."""
    finder = _Finder(connection, account, account.region or region)
    for channel, written in wanted:
        finder.take(channel, written)
    for name in wanted.lists:
        finder.take_list(None, name)
    return finder.resolved()


def number_of(contact: Contact, region: str | None) -> str:
    """The number that gets a contact's SMS; `RefusedError` says why there is none and what to change."""
    if contact.sms_number is not None:
        return contact.sms_number
    if not contact.numbers:
        raise RefusedError(f"{contact.name} has no number: {_add(contact, 'mobile')}", smtp="550 5.1.1")
    first = contact.numbers[0]
    why = (first.advice(region) or "").rstrip(".")
    raise RefusedError(f"{contact.name} has no number that can get an SMS: {why}", smtp="550 5.1.1")


def fax_of(contact: Contact) -> str:
    """The number that gets a contact's faxes; `RefusedError` where there is none."""
    if contact.fax_number is None:
        raise RefusedError(f"{contact.name} has no fax number: {_add(contact, 'fax')}", smtp="550 5.1.1")
    return contact.fax_number


def address_of(contact: Contact) -> str:
    """The address that gets a contact's e-mail; `RefusedError` where there is none."""
    if not contact.addresses:
        raise RefusedError(f"{contact.name} has no e-mail address: add one to the contact", smtp="550 5.1.1")
    return contact.addresses[0].address


def way_to(contact: Contact, channel: Channel, region: str | None) -> str:
    """Where a contact is reached over a channel; `RefusedError` where he cannot be."""
    if channel is Channel.SMS:
        return number_of(contact, region)
    return fax_of(contact) if channel is Channel.FAX else address_of(contact)


def _add(contact: Contact, kind: str) -> str:
    return f"add one of the kind {kind} to the contact"


@dataclass(slots=True)
class _Finder:
    """Gathers recipients, each once per channel; who is named himself comes before who stands on a list."""

    connection: Connection
    account: Account
    region: str | None
    found: dict[tuple[Channel, str], Recipient] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    left_out: dict[tuple[str, str, str], LeftOut] = field(default_factory=dict)

    # Named himself ----------------------------------------------------------------------------------------------------

    def take(self, channel: Channel, written: str) -> None:
        written = written.strip()
        if written.lower().startswith(LIST):
            self.take_list(channel, written[len(LIST) :].strip())
            return
        try:
            self._add(self._one(channel, written))
        except RefusedError as error:
            self.refused.append(Refusal(written, channel.value, str(error), error.smtp))

    def _one(self, channel: Channel, written: str) -> Recipient:
        if written.lower().startswith(CONTACT):
            return self._contact(channel, written[len(CONTACT) :].strip())
        if written.lower() == ME:
            return Recipient(channel, self._own(channel), written)
        if channel is Channel.EMAIL:
            if "@" in written:
                return Recipient(channel, mail_address.checked(written), written)
            if names.is_number(written):
                raise RefusedError(f"{written} is a number, an e-mail needs an address: write it with --sms")
            return self._contact(channel, written)
        if names.is_number(written):
            return Recipient(channel, self._number(channel, written), written)
        if "@" in written:
            raise RefusedError(f"{written} is an e-mail address: an {channel.value.upper()} needs a number")
        return self._contact(channel, written)

    def _number(self, channel: Channel, written: str) -> str:
        if channel is Channel.SMS:
            return numbers.sms_number(written, self.region)
        found = numbers.read(written, self.region)
        if found.e164 is None:
            raise RefusedError(found.advice or f"{written} is no telephone number", smtp="550 5.1.1")
        return found.e164

    def _own(self, channel: Channel) -> str:
        own = self.account.addresses[:1] if channel is Channel.EMAIL else (self.account.mobile,)
        if not own or own[0] is None:
            what = "e-mail address" if channel is Channel.EMAIL else "mobile number"
            raise RefusedError(f"the account {self.account.name} has no {what} of its own: tocsin account set gives it")
        return own[0]

    def _contact(self, channel: Channel, name: str) -> Recipient:
        try:
            contact = contacts.find(self.connection, self.account.id, name)
        except RefusedError as error:
            raise self._nobody(channel, name, error) from None
        return Recipient(channel, way_to(contact, channel, self.region), contact.name)

    def _nobody(self, channel: Channel, name: str, error: RefusedError) -> RefusedError:
        """What to say of a name that is no contact's."""
        if not str(error).startswith("there is no contact"):
            return error
        if lists.named(self.connection, self.account.id, name) is not None:
            return RefusedError(f"{name} is a list: write {LIST}{name}, or --list {name}")
        if channel is not Channel.EMAIL and any(map(str.isdigit, name)):
            advice = (numbers.read(name, self.region).advice or "").rstrip(".")
            return RefusedError(f"{error}. As a number: {advice}", smtp="550 5.1.1")
        return error

    def _add(self, recipient: Recipient) -> None:
        key = (recipient.channel, recipient.address.lower())
        standing = self.found.get(key)
        if standing is None or (standing.via and not recipient.via):
            self.found[key] = recipient

    # On a list --------------------------------------------------------------------------------------------------------

    def take_list(self, channel: Channel | None, name: str) -> None:
        try:
            found = lists.find(self.connection, self.account.id, name)
        except RefusedError as error:
            self.refused.append(Refusal(name, "list", str(error), error.smtp))
            return
        some = False
        for leaf in lists.evaluate(self.connection, self.account.id, found.id):
            some = True
            self._leaf(channel, leaf)
        if not some:
            self.refused.append(Refusal(name, "list", f"nobody is on the list {found.name}: add somebody"))

    def _leaf(self, channel: Channel | None, leaf: lists.Leaf) -> None:
        called = leaf.contact.name if leaf.contact is not None else leaf.number or leaf.address
        wanted = channel or _suits(leaf)
        try:
            if leaf.contact is not None:
                self._add(Recipient(wanted, way_to(leaf.contact, wanted, self.region), called, via=leaf.list))
            else:
                self._add(Recipient(wanted, self._leaf_address(wanted, leaf), via=leaf.list))
        except RefusedError as error:
            self._leave_out(called or "a contact", leaf.list, wanted, str(error))

    def _leaf_address(self, channel: Channel, leaf: lists.Leaf) -> str:
        if channel is Channel.EMAIL:
            if not leaf.address:
                raise RefusedError(f"{leaf.number or 'it'} has no e-mail address")
            return leaf.address
        if not leaf.number:
            what = f"{leaf.address} is an e-mail address" if leaf.address else "it is in no book of yours any more"
            raise RefusedError(what)
        return leaf.number if leaf.sms or channel is Channel.FAX else numbers.sms_number(leaf.number, self.region)

    def _leave_out(self, called: str, via: str, channel: Channel, why: str) -> None:
        self.left_out.setdefault((called, via, channel.value), LeftOut(called, via, channel.value, why))

    # In the end -------------------------------------------------------------------------------------------------------

    def resolved(self) -> Resolved:
        self._respect_opt_outs()
        return Resolved(tuple(self.found.values()), tuple(self.refused), tuple(self.left_out.values()))

    def _respect_opt_outs(self) -> None:
        out = optouts.among(self.connection, self.account.id, [key[1] for key in self.found])
        if not out:
            return
        for (channel, address), recipient in list(self.found.items()):
            why = out.get(address)
            if why is None:
                continue
            del self.found[channel, address]
            if recipient.via:
                self._leave_out(recipient.name or recipient.address, recipient.via, channel, why)
            else:
                self.refused.append(Refusal(recipient.name or recipient.address, channel.value, why))


def _suits(leaf: lists.Leaf) -> Channel:
    """The channel that reaches a member of a list best."""
    if leaf.contact is not None:
        return Channel.SMS if leaf.contact.sms_number is not None or not leaf.contact.addresses else Channel.EMAIL
    return Channel.EMAIL if leaf.address else Channel.SMS
