"""A mail that was read from a mailbox, as filters are given it."""

from __future__ import annotations

from daemon.watching.looking import Read
from filters.context import Source
from gateway.notices import Arrived


def arrived(account: int, source: Source, read: Read, *, authserv_id: str | None) -> Arrived:
    """With the envelope as the mail server wrote it down (Return-Path, Delivered-To), as far as it did."""
    return Arrived(
        account=account,
        mail=read.mail,
        source=source,
        octets=read.octets,
        envelope_from=_return_path(read),
        envelope_to=tuple(address for address in read.mail.header("delivered-to")[:1] if address),
        authserv_id=authserv_id,
        flags=read.flags,
    )


def _return_path(read: Read) -> str | None:
    """The envelope sender, empty for the null one, None where none is written."""
    found = read.mail.header("return-path")
    return found[0].strip().removeprefix("<").removesuffix(">") if found else None
