"""What the options of `tocsin try filter` say: which filters, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import typer

from daemon.trying.filters import Given
from filters import address_list, criteria
from filters.evaluation import Rule
from gateway import instants
from gateway.failure import RefusedError


def rules(name: str, octets: bytes) -> tuple[list[Rule], bool]:
    """The filters of a JSON file, and whether it holds a list of them; `RefusedError` names the path."""
    try:
        found = criteria.read(octets)
    except criteria.FilterError as error:
        raise RefusedError(f"{name}: {error}") from None
    return list(found), octets.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def script(name: str, octets: bytes) -> Rule:
    """The filter of a Sieve script; `RefusedError` names the line."""
    from filters import sieve

    try:
        return sieve.parse(octets.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise RefusedError(f"{name}: this is not UTF-8: octet {error.start} is wrong") from None
    except sieve.SieveError as error:
        raise RefusedError(f"{name}: {error}") from None


def given(
    *,
    me: Sequence[str],
    mobile: str | None,
    zone: str,
    now: str | None,
    authserv_id: str | None,
    contacts: Callable[[], bytes] | None,
    several: bool,
) -> Given:
    """Whose filters these are; `typer.BadParameter` for an option that cannot be meant."""
    addresses = tuple(_address(one) for one in me)
    where = _zone(zone)
    number, region = _mobile(mobile) if mobile is not None else (None, None)
    book = None
    if contacts is not None:
        from daemon.trying import address_book

        book = address_book.read(contacts())
    return Given(_now(now, where), addresses, number, region, book, authserv_id, several=several)


def _address(written: str) -> str:
    if address_list.mailbox(written) is None:
        raise typer.BadParameter(f"{written!r} is no e-mail address", param_hint="--me")
    return written


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise typer.BadParameter(
            f"{name!r} is no time zone: write one such as Europe/Brussels", param_hint="--zone"
        ) from None


def _now(written: str | None, zone: ZoneInfo) -> datetime:
    if written is None:
        return datetime.now(UTC).astimezone(zone)
    try:
        return instants.read(written, zone).astimezone(zone)
    except RefusedError as error:
        raise typer.BadParameter(str(error), param_hint="--now") from None


def _mobile(written: str) -> tuple[str, str | None]:
    """The number in its international form, and where it is at home."""
    from gateway import numbers

    found = numbers.read(written)
    if found.e164 is None:
        raise typer.BadParameter(found.advice or f"{written!r} is no number", param_hint="--mobile")
    return found.e164, found.country
