"""What a sender asked to be told of his message's fate (RFC 3461), as it is kept with the message.

Kept as JSON in ASCII, which every database can store whatever stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

#: How long a recipient who is still not reached may stay untold, where a notification of delay was asked for.
DELAY_AFTER = timedelta(hours=4)

_NEVER = "NEVER"


class Condition(StrEnum):
    """When a sender wants to be told (RFC 3461 section 4.1)."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for one recipient: NOTIFY, empty where it was not given, and ORCPT, decoded."""

    notify: frozenset[str] = frozenset()
    orcpt: str = ""

    @property
    def conditions(self) -> frozenset[str]:
        """When to tell: without NOTIFY, of failures (RFC 3461 section 4.1)."""
        return self.notify - {_NEVER} if self.notify else frozenset({Condition.FAILURE})

    def and_also(self, other: Wish) -> Wish:
        """Both wishes for one recipient who was named twice: whoever wants to be told is told."""
        if not (self.notify or other.notify):
            return replace(self, orcpt=self.orcpt or other.orcpt)
        return Wish(self.conditions | other.conditions or frozenset({_NEVER}), self.orcpt or other.orcpt)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked with a message: ENVID and RET (RFC 3461 sections 4.4, 4.3), and a wish for each address.

    `message_id` is the mail's own, so that a report can be shown beside it. `recipients` may leave out who has no wish.
    """

    envid: str = ""
    ret: str = ""
    message_id: str = ""
    recipients: Mapping[str, Wish] = field(default_factory=dict)

    def wish(self, address: str) -> Wish:
        """What was asked for an address."""
        return self.recipients.get(address, Wish())

    def wants(self, address: str, condition: Condition) -> bool:
        """Whether the sender wants to be told this of an address."""
        return condition in self.wish(address).conditions

    def and_also(self, other: Asked | None) -> Asked:
        """This, and what a later copy of the same mail asks for recipients that are new."""
        if other is None:
            return self
        return replace(self, recipients={**other.recipients, **self.recipients})

    def pack(self) -> str | None:
        """As it is stored; None where nothing was asked."""
        recipients = {
            address: {"notify": sorted(wish.notify), "orcpt": wish.orcpt}
            for address, wish in self.recipients.items()
            if wish.notify or wish.orcpt
        }
        if not (recipients or self.envid or self.ret or self.message_id):
            return None
        kept = {"envid": self.envid, "ret": self.ret, "message_id": self.message_id, "recipients": recipients}
        return json.dumps({key: value for key, value in kept.items() if value}, separators=(",", ":"))

    @classmethod
    def unpack(cls, kept: str | None) -> Asked:
        """From what is stored."""
        if not kept:
            return cls()
        read = json.loads(kept)
        return cls(
            read.get("envid", ""),
            read.get("ret", ""),
            read.get("message_id", ""),
            {
                address: Wish(frozenset(wish["notify"]), wish["orcpt"])
                for address, wish in read.get("recipients", {}).items()
            },
        )


def wishes(asked: Iterable[tuple[str, Wish]]) -> dict[str, Wish]:
    """One wish for each address, of addresses that may come twice."""
    found: dict[str, Wish] = {}
    for address, wish in asked:
        found[address] = found[address].and_also(wish) if address in found else wish
    return found
