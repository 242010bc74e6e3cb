"""Where `notify` sends: URIs of telephones and mailboxes (RFC 3966, RFC 5724, RFC 2806, RFC 6068)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from filters import charsets, destinations
from filters.verdict import Channel

#: What becomes of each scheme.
CHANNELS: dict[str, Channel] = {"sms": "sms", "tel": "sms", "fax": "fax", "mailto": "email"}
#: Recipients of one URI.
MOST = 20

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SEPARATORS = re.compile(r"[-.() \u00a0]")


class MethodError(ValueError):
    """A URI that cannot be sent to; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Method:
    """A URI read: the channel, whom, and the subject and text it carries itself."""

    channel: Channel
    to: tuple[str, ...]
    subject: str = ""
    body: str = ""


def scheme(uri: str) -> str:
    """The scheme in lower case; empty where there is none."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else ""


def read(uri: str) -> Method:
    """What a URI says; `MethodError` where it is none, of a scheme that cannot be sent to, or names nobody rightly."""
    name = scheme(uri)
    if not name:
        raise MethodError(f'"{uri[:60]}" is no method: write sms:+32475123456, tel:, fax: or mailto: with an address')
    if name not in CHANNELS:
        raise MethodError(f'nothing can be sent to "{name}:": there are sms:, tel:, fax: and mailto:')
    path, _, query = uri[len(name) + 1 :].partition("#")[0].partition("?")
    fields = _fields(query)
    if name == "mailto":
        to = [*_listed(path), *(one for key, value in fields if key in ("to", "cc", "bcc") for one in _listed(value))]
        found = [unquote(one).strip() for one in to]
    else:
        found = [_number(one) for one in path.split(",") if one.strip()]
    _check(name, found)
    subject = next((charsets.one_line(unquote(value)) for key, value in fields if key == "subject"), "")
    body = "\n".join(unquote(value).replace("\r\n", "\n") for key, value in fields if key == "body")
    return Method(CHANNELS[name], tuple(dict.fromkeys(found)), subject, body)


def _fields(query: str) -> list[tuple[str, str]]:
    """The header fields of a URI (RFC 6068 section 2), names in lower case, values as written."""
    pairs = (piece.partition("=") for piece in query.split("&") if piece)
    return [(unquote(name).lower(), value) for name, _, value in pairs]


def _listed(value: str) -> list[str]:
    return [one for one in value.split(",") if one.strip()]


def _number(written: str) -> str:
    """A telephone number without what only separates its digits (RFC 3966 section 5.1.1), after its context."""
    digits, *parameters = (unquote(piece).strip() for piece in written.split(";"))
    if digits == "me" or digits.startswith(("contact:", "list:")):
        return digits
    number = _SEPARATORS.sub("", digits)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() == "phone-context" and value.startswith("+") and not number.startswith("+"):
            return _SEPARATORS.sub("", value) + number
    return number


def _check(name: str, to: list[str]) -> None:
    if not to:
        raise MethodError(f'"{name}:" names nobody: write whom after the colon')
    if len(to) > MOST:
        raise MethodError(f'"{name}:" names {len(to)} recipients, and {MOST} are the most of one notification')
    for one in to:
        if wrong := destinations.wrong(CHANNELS[name], one):
            raise MethodError(wrong)
