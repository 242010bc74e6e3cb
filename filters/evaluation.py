"""Filters in their order against one mail: pure, without short cuts, so that every test tells what it found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from filters.context import Context
from filters.mail import Mail
from filters.sight import Sight
from filters.verdict import Need, Verdict


class Rule(Protocol):
    """What can judge a mail: a `Filter`, or a Sieve script (`filters.sieve`)."""

    @property
    def name(self) -> str:
        """What its owner calls it."""

    @property
    def needs(self) -> frozenset[Need]:
        """What of a mail it looks at."""

    @property
    def books(self) -> frozenset[str]:
        """The books, groups and lists it names, as `Context.books` has them."""

    def judge(self, sight: Sight) -> Verdict:
        """How this rule judges this mail; never raises, whatever the mail is."""


def evaluate(rules: Iterable[Rule], mail: Mail, context: Context, octets: bytes = b"") -> list[Verdict]:
    """What each rule found, in order, up to the one that stops. Sieve looks at `octets`, the mail as it came."""
    sight = Sight(mail, context, octets)
    verdicts: list[Verdict] = []
    for rule in rules:
        verdicts.append(rule.judge(sight))
        if verdicts[-1].stopped:
            break
    return verdicts
