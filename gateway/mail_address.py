"""E-mail addresses as people write them: what can stand in an envelope and in a header (RFC 5321, 5322)."""

from __future__ import annotations

import re

from gateway.failure import RefusedError

#: RFC 5321 section 4.5.3.1: 64 octets before the @, 254 in all.
_LOCAL, _ALL = 64, 254
#: An atom (RFC 5322 section 3.2.3), with what RFC 6532 adds: no specials, no white space, nothing invisible.
_ATOMS = re.compile(r"[^\s\x00-\x1f\x7f-\xa0()<>\[\]:;@\\,\".]+(\.[^\s\x00-\x1f\x7f-\xa0()<>\[\]:;@\\,\".]+)*\Z")
_DOMAIN = re.compile(r"[^\W_]([\w-]*[^\W_])?(\.[^\W_]([\w-]*[^\W_])?)*\Z")


def checked(text: str) -> str:
    """The address, its domain in lower case and in ASCII (RFC 3490); `RefusedError` (550 5.1.3) where it is none."""
    written = text.strip().removeprefix("mailto:")
    local, at, domain = written.rpartition("@")
    ascii_domain = _in_ascii(domain.lower())
    good = (
        at
        and ascii_domain
        and written.isprintable()
        and len(local.encode()) <= _LOCAL
        and len(written.encode()) <= _ALL
        and _ATOMS.match(local)
        and _DOMAIN.match(domain)
    )
    if not good:
        raise RefusedError(f"{written[:80]!r} is no e-mail address: write it as name@example.org", smtp="550 5.1.3")
    return f"{local}@{ascii_domain}"


def _in_ascii(domain: str) -> str:
    """A domain as DNS has it: `xn--mnchen-3ya.example` for `münchen.example`; empty where it cannot be one."""
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
