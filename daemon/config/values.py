"""The kinds of values a configuration has beyond numbers and texts: addresses, networks, durations, domains.

Each parser takes what TOML gave and returns the value, or raises `ValueError` with what to write instead; the key and
the value that was found are put before it by whoever reports the fault.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator

from daemon.peers import Networks
from filters import durations
from filters.durations import Duration

#: sun_path of unix(7) has 108 octets, the last of them NUL.
_LONGEST_SOCKET_PATH = 107
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAILBOX = re.compile(r"[^\s@<>,;\"()]+@[^\s@<>,;\"()]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: `host` and `port`, or the `path` of a Unix socket, or the `name` of a socket from systemd.

    An empty `host` is every interface, port 0 any free port.
    """

    host: str = ""
    port: int = 0
    path: Path | None = None
    name: str = ""

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        if self.name:
            return f"systemd:{self.name}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: Any) -> Address:
    """`host:port`, `[host]:port`, `unix:/path` or `systemd:name`."""
    advice = 'write "host:port", "unix:/path" or "systemd:name"'
    if not isinstance(value, str):
        raise ValueError(advice)
    if value.startswith("unix:"):
        path = Path(value.removeprefix("unix:"))
        if not path.is_absolute():
            raise ValueError("the path of a Unix socket must be absolute: unix:/run/tocsin/…")
        if len(str(path).encode()) > _LONGEST_SOCKET_PATH:
            raise ValueError(f"the path of a Unix socket has at most {_LONGEST_SOCKET_PATH} octets")
        return Address(path=path)
    if value.startswith("systemd:"):
        name = value.removeprefix("systemd:")
        if not name or ":" in name:
            raise ValueError("write the FileDescriptorName= of the socket unit: systemd:name")
        return Address(name=name)
    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(advice)
    if host.startswith("["):
        if not host.endswith("]") or not _is_ipv6(host[1:-1]):
            raise ValueError("what stands in the brackets is no IPv6 address")
        return Address(host[1:-1], int(port))
    if ":" in host:
        raise ValueError(f"an IPv6 address stands in brackets: [{host}]:{port}")
    if not re.fullmatch(r"\*|[\w.-]*", host):
        raise ValueError(advice)
    return Address("" if host == "*" else host, int(port))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def parse_networks(value: Any) -> Networks:
    """A list of addresses, networks and `unix`."""
    if not isinstance(value, list):
        raise ValueError('write a list, such as ["192.0.2.0/24", "unix"]')
    return Networks.of(value)


def parse_duration(value: Any) -> Duration:
    """A duration that is not zero; years and months are calendar's."""
    duration = durations.parse(value if isinstance(value, str) else "")
    if not duration:
        raise ValueError("choose more than no time at all")
    return duration


def parse_time(value: Any) -> timedelta:
    """A duration of fixed length, from none at all to a year."""
    fixed = durations.parse_fixed(value if isinstance(value, str) else "")
    if fixed > timedelta(days=366):
        raise ValueError("choose a year at most")
    return fixed


def parse_positive_time(value: Any) -> timedelta:
    """The same, but not none at all."""
    fixed = parse_time(value)
    if not fixed:
        raise ValueError("choose more than no time at all")
    return fixed


def parse_domain(value: Any) -> str:
    """A domain name, in lower case and without the final dot; what is not ASCII becomes its A-labels (RFC 5891)."""
    advice = "write a domain name, such as sms.example.org"
    if not isinstance(value, str):
        raise ValueError(advice)
    try:
        name = value.rstrip(".").lower() if value.isascii() else value.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        raise ValueError(advice) from None
    if not name or len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(advice)
    return name


def parse_mailbox(value: Any) -> str:
    """A mail address."""
    if not isinstance(value, str) or not _MAILBOX.fullmatch(value):
        raise ValueError("write a mail address, such as postmaster@example.org")
    return value


def parse_region(value: Any) -> str:
    """A region whose national numbers are known, as ISO 3166-1 alpha-2 in capitals."""
    import phonenumbers  # loaded only where a region is written

    region = value.upper() if isinstance(value, str) else ""
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("write two letters as in ISO 3166, such as BE")
    return region


def parse_url(value: Any) -> str:
    """An http or https URL, without a final slash."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("write a URL such as https://tocsin.example.org")
    return value.rstrip("/")


AddressValue = Annotated[Address, PlainValidator(parse_address)]
NetworksValue = Annotated[Networks, PlainValidator(parse_networks)]
DurationValue = Annotated[Duration, PlainValidator(parse_duration)]
TimeValue = Annotated[timedelta, PlainValidator(parse_time)]
PositiveTimeValue = Annotated[timedelta, PlainValidator(parse_positive_time)]
DomainValue = Annotated[str, PlainValidator(parse_domain)]
MailboxValue = Annotated[str, PlainValidator(parse_mailbox)]
RegionValue = Annotated[str, PlainValidator(parse_region)]
UrlValue = Annotated[str, PlainValidator(parse_url)]
