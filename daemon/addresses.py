"""The special addresses: what an envelope recipient stands for (CONTRACT, "Special addresses")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from daemon.esmtp import Path
from gateway import names
from gateway.failure import RefusedError

#: A number with a subaddress behind it (RFC 5233), which is somebody's note to himself: `32475123456+alarm`.
_SUBADDRESS = re.compile(r"(\+?[0-9][0-9.-]*)\+[A-Za-z][^+]*\Z")


@dataclass(frozen=True, slots=True)
class Number:
    """A telephone number for an SMS, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Named:
    """A list or a contact of the sender's, as written: `family`, `Jean.Dupont`."""

    text: str


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Whoever runs this system (RFC 5321 section 4.5.1)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`verdict@`: the sender asks how his mail is judged."""


@dataclass(frozen=True, slots=True)
class Watched:
    """`ACCOUNT@watch_domain`: a copy of a mail, for the filters of that account."""

    name: str


def destination(path: Path, sms_domain: str, watch_domain: str = "") -> Number | Named | Postmaster | Asked | Watched:
    """What an address stands for. `RefusedError` (550 5.7.1) for a domain that is not ours."""
    if watch_domain and path.domain == watch_domain:
        return Watched(path.local)
    if path.local.lower() == "postmaster" and path.domain in ("", sms_domain):
        return Postmaster()
    if path.domain != sms_domain:
        raise RefusedError(
            f"{path.domain or 'An address without domain'} is not served here: write number@{sms_domain}",
            smtp="550 5.7.1",
        )
    if path.local.lower() == "verdict":
        return Asked()
    subaddress = _SUBADDRESS.match(path.local)
    text = subaddress[1] if subaddress else path.local
    return Number(text) if names.is_number(text) else Named(text)
