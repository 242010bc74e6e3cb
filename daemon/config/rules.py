"""What keys of a configuration say together: faults no single value shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from daemon.config.faults import Fault, key
from daemon.config.models import ConsoleSection, ListenSection, RouteSection
from daemon.config.values import parse_mailbox

#: What each transport can carry; SMPP carries fax and e-mail by `protocol_id`.
_CARRIES = {"smpp": {"sms", "email", "fax"}, "smtp": {"email"}, "hylafax": {"fax"}, "t37": {"fax"}}
#: source_addr is a C-Octet String of at most 21 octets with its NUL (SMPP 3.4 section 4.4.1), a name has at most 11
#: characters (3GPP TS 23.040 clause 9.1.2.5).
_LONGEST_SENDER, _LONGEST_NAME = 20, 11
#: Likewise the fields of a bind (SMPP 3.4 section 4.1.1).
_BIND = {"system_id": 15, "password": 8, "system_type": 12}


def judge_listen(listen: ListenSection) -> Iterator[Fault]:
    """Faults within `[listen]`."""
    if (listen.tls_certificate is None) != (listen.tls_key is None):
        missing = "tls_certificate" if listen.tls_certificate is None else "tls_key"
        given = "tls_key" if missing == "tls_certificate" else "tls_certificate"
        yield Fault(key("listen", missing), f"is missing: {given} is of no use without it")
    owners: dict[str, str] = {}
    for name in ("sms_domain", "fax_domain", "watch_domain"):
        domain = getattr(listen, name)
        if domain is None:
            continue
        if domain in owners:
            yield Fault(key("listen", name), f"is {domain} like {owners[domain]}: give each a domain of its own")
        owners.setdefault(domain, name)


def judge_addresses(listen: ListenSection, console: ConsoleSection) -> Iterator[Fault]:
    """Two listeners at one address."""
    owners: dict[str, str] = {}
    for name, address in (
        ("listen.smtp", listen.smtp),
        ("listen.lmtp", listen.lmtp),
        ("console.listen", console.listen),
    ):
        if address is None or (address.path is None and not address.name and address.port == 0):
            continue
        if str(address) in owners:
            yield Fault(name, f"is {address} like {owners[str(address)]}: give each an address of its own")
        owners.setdefault(str(address), name)


def judge_route(route: RouteSection, n: int) -> Iterator[Fault]:
    """Faults within one `[[route]]`."""
    for channel in sorted(set(route.channels) - _CARRIES[route.transport]):
        carried = ", ".join(sorted(_CARRIES[route.transport]))
        text = f"has {channel}, which {route.transport} cannot carry: it carries {carried}"
        yield Fault(key("route", n, "channels"), text)
    if not route.host and route.transport != "t37":
        yield Fault(key("route", n, "host"), f"is missing: name the {route.transport} server")
    elif re.search(r"[\s/:@]", route.host) and not re.fullmatch(r"[0-9a-fA-F:.]+", route.host):
        yield Fault(key("route", n, "host"), f'is "{route.host}": write a name or an address; the port has its own key')
    yield from _judge_sender(route, key("route", n, "sender"))
    if route.transport == "smpp":
        yield from _judge_bind(route, n)


def _judge_bind(route: RouteSection, n: int) -> Iterator[Fault]:
    texts = {"system_id": route.system_id, "password": route.password.get_secret_value()}
    for name, text in {**texts, "system_type": route.system_type}.items():
        where = key("route", n, name)
        if len(text) > _BIND[name]:
            yield Fault(where, f"has {len(text)} characters: SMPP 3.4 allows {_BIND[name]}")
        elif "\0" in text or any(ord(mark) > 0xFF for mark in text):
            yield Fault(where, "has a character that SMPP cannot carry: write letters, digits and marks of ASCII")


def _judge_sender(route: RouteSection, where: str) -> Iterator[Fault]:
    if route.transport == "smtp":
        try:
            parse_mailbox(route.sender)
        except ValueError as error:
            found = f'is "{route.sender}"' if route.sender else "is missing"
            yield Fault(where, f"{found}: it is the From of what goes out; {error}")
    elif route.transport == "smpp" and not _is_sender(route.sender):
        text = f'is "{route.sender}": write a number, or up to 11 ASCII letters and digits'
        yield Fault(where, text)


def _is_sender(sender: str) -> bool:
    longest = _LONGEST_SENDER if re.fullmatch(r"\+?[0-9]*", sender) else _LONGEST_NAME
    return sender.isascii() and len(sender.removeprefix("+")) <= longest


def judge_names(routes: Sequence[tuple[int, RouteSection]]) -> Iterator[Fault]:
    """Two routes with one name."""
    owners: dict[str, int] = {}
    for n, route in routes:
        if route.name in owners:
            first = key("route", owners[route.name])
            yield Fault(key("route", n, "name"), f'is "{route.name}" like that of {first}: each needs its own')
        owners.setdefault(route.name, n)
