"""The tables of the configuration file, one model a table, every key with its default and its bounds.

A key that holds a secret is a `SecretStr`: it may be written `KEY_file` instead (`daemon.config.credentials`), and is
never shown. What two keys say together is judged in `daemon.config.rules`, what a change needs in
`daemon.config.changes`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, Strict

from daemon.config.values import (
    AddressValue,
    DomainValue,
    DurationValue,
    MailboxValue,
    NetworksValue,
    PositiveTimeValue,
    RegionValue,
    TimeValue,
    UrlValue,
    parse_duration,
    parse_networks,
    parse_time,
)
from gateway.message import Channel
from gateway.routing import Route

#: A store key has at least this many characters.
SHORTEST_KEY = 32
_CODE = re.compile(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}")


def _prefix(value: str) -> str:
    if not re.fullmatch(r"\+[0-9]{0,15}", value):
        raise ValueError('write the beginning of an international number, such as "+32"')
    return value


def _name(value: str) -> str:
    if not value or len(value) > 100 or any(mark.isspace() or not mark.isprintable() for mark in value):
        raise ValueError("use 1 to 100 characters without spaces")
    return value


def _database(value: SecretStr) -> SecretStr:
    from gateway.store.engine import parse_url  # loads the database's drivers: only where a store is configured

    parse_url(value.get_secret_value())
    return value


def _keys(value: SecretStr) -> SecretStr:
    lines = value.get_secret_value().split("\n")
    short = [n for n, line in enumerate(lines, start=1) if line.strip() and len(line.strip()) < SHORTEST_KEY]
    if short or not any(line.strip() for line in lines):
        raise ValueError(f"write one key a line, each of {SHORTEST_KEY} or more characters")
    return value


def _codes(value: dict[str, str]) -> dict[str, str]:
    for code in value:
        if not _CODE.fullmatch(code):
            raise ValueError(f'{code!r} is no command_status: write it as "0x45"')
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("write at least one")
    return value


Prefix = Annotated[str, AfterValidator(_prefix)]
Prefixes = Annotated[tuple[Prefix, ...], Strict(False)]
Units = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
PerSecond = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
ChannelName = Literal["sms", "email", "fax"]
Meaning = Literal["accepted", "transient", "permanent", "throttle"]
Transport = Literal["smpp", "smtp", "hylafax", "t37"]

#: The port each transport's servers listen on.
PORTS = {"smpp": 2775, "smtp": 25, "hylafax": 4559, "t37": 25}


class Section(BaseModel):
    """One table: unknown keys are faults, and no value is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def secrets(cls) -> tuple[str, ...]:
        """The keys that hold a secret."""
        return tuple(
            name
            for name, field in cls.model_fields.items()
            if field.annotation is SecretStr or SecretStr in get_args(field.annotation)
        )

    @classmethod
    def files(cls) -> tuple[str, ...]:
        """The keys that name a file, found as a secret's is."""
        return tuple(name for name, field in cls.model_fields.items() if Path in get_args(field.annotation))


class StoreSection(Section):
    """`[store]`"""

    url: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("sqlite:////var/lib/tocsin/tocsin.db")
    secret: Annotated[SecretStr | None, AfterValidator(_keys)] = None
    keep: DurationValue = parse_duration("P1Y")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that open stored credentials, the one that seals them first; empty without a `secret`."""
        text = self.secret.get_secret_value() if self.secret is not None else ""
        return tuple(line.strip() for line in text.split("\n") if line.strip())


class ListenSection(Section):
    """`[listen]`"""

    smtp: AddressValue | None = None
    lmtp: AddressValue | None = None
    sms_domain: DomainValue | None = None
    fax_domain: DomainValue | None = None
    watch_domain: DomainValue | None = None
    postmaster: MailboxValue | None = None
    max_size: Annotated[int, Field(ge=1024, le=1_073_741_824)] = 10_485_760
    max_recipients: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    region: RegionValue | None = None
    trusted_networks: NetworksValue = parse_networks([])
    relays: NetworksValue = parse_networks([])
    authserv_id: str | None = Field(default=None, min_length=1)
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def returning(self) -> str | None:
        """The domain whose mail comes to us, reports of what became of our own included; None where none does."""
        return self.sms_domain if self.smtp is not None or self.lmtp is not None else None


class RouteSection(Section):
    """`[[route]]`; an absent `port` or `price` is what the transport and the channels usually have."""

    name: Annotated[str, AfterValidator(_name)]
    channels: Annotated[tuple[ChannelName, ...], Strict(False), AfterValidator(_some)]
    transport: Transport
    host: str = Field(default="", max_length=253)
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tls: bool = False
    system_id: str = Field(default="tocsin", max_length=64)
    password: SecretStr = SecretStr("")
    system_type: str = Field(default="", max_length=64)
    bind: Literal["transceiver", "transmitter", "receiver", "pair"] = "transceiver"
    binds: Annotated[int, Field(ge=1, le=1000)] = 1
    window: Annotated[int, Field(ge=1, le=10_000)] = 10
    rate: PerSecond | None = None
    sender: str = Field(default="", max_length=254)
    sender_ton: Annotated[int, Field(ge=0, le=255)] | None = None
    sender_npi: Annotated[int, Field(ge=0, le=255)] | None = None
    numeric_sender: Annotated[str, Field(pattern=r"^(\+?[0-9]{1,20})?$")] = ""
    prefixes: Annotated[Prefixes, AfterValidator(_some)] = ("+",)
    not_prefixes: Prefixes = ()
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    price: Units | None = None
    prices: dict[Prefix, Units] = Field(default_factory=dict)
    concat: Literal["udh8", "udh16", "sar", "payload"] = "udh8"
    receipts: bool = True
    on_unknown: Literal["resend", "park"] = "resend"
    unknown_wait: TimeValue = parse_time("PT2M")
    query: bool = False
    validity: PositiveTimeValue = parse_time("P1D")
    enquire_link: Seconds = 30.0
    response_timeout: Seconds = 30.0
    inactivity: Seconds | None = None
    status: Annotated[dict[str, Meaning], AfterValidator(_codes)] = Field(default_factory=dict)
    protocol_id: Annotated[int, Field(ge=0, le=255)] = 0

    def build(self, returning: str | None = None) -> Route:
        """The route the gateway works with; `returning` is the domain whose mail comes back to us."""
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        free = set(self.channels) == {"email"}
        values.update(
            channels=frozenset(Channel(channel) for channel in self.channels),
            port=self.port or PORTS[self.transport],
            password=self.password.get_secret_value(),
            price=(0 if free else 1) if self.price is None else self.price,
            status={int(code, 0): meaning for code, meaning in self.status.items()},
            returns=returning is not None
            and self.receipts
            and self.transport == "smtp"
            and self.sender.rpartition("@")[2].lower() == returning.lower(),
        )
        return Route(**values)


class WatchSection(Section):
    """`[watch]`"""

    idle_connections: Annotated[int, Field(ge=0, le=1_000_000)] = 2000
    poll: PositiveTimeValue = parse_time("PT5M")
    allow_private_hosts: bool = False


class CalendarsSection(Section):
    """`[calendars]`"""

    poll: PositiveTimeValue = parse_time("PT5M")
    late: TimeValue = parse_time("PT1H")
    allow_private_hosts: bool = False


class ConsoleSection(Section):
    """`[console]`; `rate` is requests a second to the API by one account."""

    listen: AddressValue | None = None
    url: UrlValue | None = None
    metrics_networks: NetworksValue = parse_networks(["127.0.0.0/8", "::1/128"])
    rate: PerSecond | None = None


class LogSection(Section):
    """`[log]`"""

    format: Literal["text", "json", "journald"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


#: The tables by their name; `route` may stand several times.
SECTIONS: dict[str, type[Section]] = {
    "store": StoreSection,
    "listen": ListenSection,
    "route": RouteSection,
    "watch": WatchSection,
    "calendars": CalendarsSection,
    "console": ConsoleSection,
    "log": LogSection,
}
