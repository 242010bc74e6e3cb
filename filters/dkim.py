"""What DKIM signatures say they cover (RFC 6376 section 3.5). Whether they are good is for a verifier to find out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from filters import domains
from filters.guard import Field

NAME = "dkim-signature"

_TAG = re.compile(r"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=([^;]*)\Z")
_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature: the domain that answers for it, the fields it covers (lower case), and its own octets.

    `value` is empty where it is not written as signers write it: a copy could be made to look different. `whole` says
    that it covers the body to its end, so that nothing can have been put behind it (`l=`).
    """

    domain: str
    covers: frozenset[str]
    value: bytes
    whole: bool


def read(fields: Iterable[Field]) -> list[Signature]:
    """Every signature of a mail that could be verified at all, topmost first. Never raises."""
    found = (_read(field.value) for field in fields if field.name == NAME)
    return [signature for signature in found if signature is not None]


def _read(text: str) -> Signature | None:
    tags: dict[str, str] = {}
    for part in text.rstrip("; \t\r\n").split(";"):
        tag = _TAG.match(part)
        if tag is None or tag[1] in tags:
            return None  # section 3.2: the whole tag list is invalid
        tags[tag[1]] = _BLANK.sub("", tag[2])
    domain = domains.canonical(tags.get("d", ""))
    covers = frozenset(name.lower() for name in tags.get("h", "").split(":"))
    if not (domain and tags.get("b") and "from" in covers):  # section 3.5: d and b are required, h must name From
        return None
    return Signature(domain, covers, _octets(tags["b"]), "l" not in tags)


def _octets(text: str) -> bytes:
    """What this base64 says, where it is the only way to say so; else nothing."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return value if base64.b64encode(value).decode("ascii") == text else b""
