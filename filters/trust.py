"""Who really sent a mail that a relay passed on (CONTRACT, "Who may send").

Anybody can write any From, and anybody can send a signed mail again, to whom he likes: a signature does not cover the
envelope. So a mail proves its author only where the relay found that the author's domain stands for it, and it proves
him only for the addresses it names, for a day, once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from filters import address_list, authentication_results, dkim, domains
from filters.address_list import Mailbox
from filters.authentication_results import AuthenticationResults
from filters.dkim import Signature
from filters.mail import Mail

#: How far a mail's Date may be from now, either way.
DAY = timedelta(hours=24)

#: What a mail has once (RFC 5322 section 3.6, RFC 2045 section 3): of two, a signature may cover the one not looked at.
_ONCE = (
    *("from", "to", "cc", "date", "message-id", "subject"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
)
#: More signatures of one organisation than this is nothing a mail server writes.
_MOST_SIGNATURES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it speaks for the mail, and a plain sentence."""

    good: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a mail was judged. `author` is proven where every finding is good; it is what From says, None where unclear.

    `method` is what proved it, `dmarc` or `dkim`. `named` are the addresses the mail is for, as To and Cc say, in lower
    case. `marks` tell it from other mails, however somebody who sends it again may change it.
    """

    author: Mailbox | None
    method: str = ""
    findings: tuple[Finding, ...] = ()
    named: frozenset[str] = frozenset()
    marks: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def proven(self) -> Mailbox | None:
        """The author, where the mail proves him."""
        return self.author if all(finding.good for finding in self.findings) else None

    @property
    def why_not(self) -> str:
        """The first reason against the mail, as a sentence; empty where it proves its author."""
        return next((finding.sentence for finding in self.findings if not finding.good), "")

    @property
    def explanation(self) -> str:
        """Every finding, one sentence a line."""
        return "\n".join(finding.sentence for finding in self.findings)

    def is_for(self, recipient: Mailbox) -> bool:
        """Whether To or Cc names this address. Ours are compared without regard to case, local parts too."""
        return recipient.folded in self.named

    def replay_keys(self, recipient: str) -> tuple[bytes, ...]:
        """What must not have been used before this mail is for this recipient, and is used then (SHA-256)."""
        return tuple(
            hashlib.sha256(b"relay replay\0" + mark + b"\0" + recipient.encode("utf-8", "surrogateescape")).digest()
            for mark in self.marks
        )


def judge(mail: Mail, authserv_id: str | None, *, now: datetime) -> Verdict:
    """Judge a mail that came from a relay. `now` is aware. Never raises; takes well under a millisecond."""
    author = _author(mail)
    if not isinstance(author, Mailbox):
        return Verdict(None, findings=(author,))
    method, proof = _proof(mail, authserv_id, author.domain)
    signed = [one for one in dkim.read(mail.fields) if domains.aligned(one.domain, author.domain)]
    findings = (
        Finding(True, f"From says {author}."),
        proof,
        *_whole(mail, signed),
        _timely(mail.date, now),
    )
    marks = (b"id" + mail.message_id.encode("utf-8", "surrogateescape"), *(b"dkim" + one.value for one in signed))
    return Verdict(author, method, findings, _named(mail, signed), marks)


def _author(mail: Mail) -> Mailbox | Finding:
    """The one mailbox of the one From field, or what is wrong with it."""
    values = [item.value for item in mail.fields if item.name == "from"]
    if not mail.clear:
        return Finding(False, "The header of the mail is damaged, or too long: nobody can tell where it ends.")
    if len(values) != 1:
        return Finding(False, f"The mail has {len(values) or 'no'} From fields: it must have one.")
    found = address_list.mailbox(values[0])
    if found is None:
        return Finding(False, "From must name one mailbox, written as name@example.org or Name <name@example.org>.")
    return found


def _proof(mail: Mail, authserv_id: str | None, domain: str) -> tuple[str, Finding]:
    """What the relay found out, and by which method it speaks for the author's domain."""
    if not authserv_id:
        return "", Finding(False, "No authserv_id is configured, so no Authentication-Results is believed.")
    results = authentication_results.topmost(mail.fields, authserv_id)
    if results is None:
        return "", Finding(False, _nobody(mail, authserv_id))
    where = f"the topmost Authentication-Results of {authserv_id}"
    if results.fault:
        return "", Finding(False, f"{_capital(where)} cannot be relied on: {results.fault}.")
    method = _aligned_dmarc(results, domain) or _aligned_dkim(results, domain)
    if not method:
        return "", Finding(False, f"{_capital(where)} does not speak for {domain}: it says {_told(results)}.")
    return method, Finding(True, f"{_capital(where)} says {method}=pass, which speaks for {domain}.")


def _nobody(mail: Mail, authserv_id: str) -> str:
    others = [one for one in authentication_results.authserv_ids(mail.fields, 3) if one]
    if not others:
        return f"The mail has no Authentication-Results of {authserv_id}: the mail server it came from must add it."
    return f"The mail has no Authentication-Results of {authserv_id}, only of {', '.join(_short(others))}."


def _aligned_dmarc(results: AuthenticationResults, domain: str) -> str:
    """RFC 7489 section 11.1: a pass says that the domain of From was aligned; it must be the From we read."""
    found = results.of("dmarc")
    good = len(found) == 1 and found[0].result == "pass" and found[0].domain("header.from") == domain
    return "dmarc" if good else ""


def _aligned_dkim(results: AuthenticationResults, domain: str) -> str:
    """A signature of the author's domain, or where its owner has no DMARC policy, of his organisation."""
    said = {result.result for result in results.of("dmarc")}
    if said - {"none", "temperror", "permerror"}:
        return ""
    for result in results.of("dkim"):
        signer = result.domain("header.d") or result.domain("header.i")
        if result.result == "pass" and (signer == domain or (said <= {"none"} and domains.aligned(signer, domain))):
            return "dkim"
    return ""


def _told(results: AuthenticationResults) -> str:
    """The results that were looked at, shortly."""
    words = []
    for method, keys in (("dmarc", ("header.from",)), ("dkim", ("header.d", "header.i"))):
        for result in results.of(method)[:3]:
            who = next((result.value(key) for key in keys if result.value(key)), "")
            words.append(f"{method}={result.result}" + (f" for {who}" if who else ""))
    return ", ".join(_short(words)) or "nothing of dmarc or dkim"


def _whole(mail: Mail, signed: list[Signature]) -> Iterator[Finding]:
    """What somebody could have put into the mail, or behind it, without breaking its signature."""
    counted = Counter(item.name for item in mail.fields)
    for name in _ONCE:
        if counted[name] > 1:
            yield Finding(False, f"The mail has {counted[name]} {_title(name)} fields: one may be a stranger's.")
    if not mail.message_id:
        yield Finding(False, "The mail has no Message-ID, so a copy of it could not be told from it.")
    if len(signed) > _MOST_SIGNATURES:
        yield Finding(False, f"The mail has {len(signed)} signatures of its author's organisation.")
    for one in signed:
        if not one.value:
            yield Finding(False, f"The signature of {one.domain} is written as no mail server writes it.")
        elif not one.whole:
            yield Finding(False, f"The signature of {one.domain} covers the body only in part (l=).")
        elif counted["subject"] and "subject" not in one.covers:
            yield Finding(False, f"The signature of {one.domain} does not cover Subject.")


def _named(mail: Mail, signed: list[Signature]) -> frozenset[str]:
    """Every address of To and Cc, as far as the author's signatures cover those fields."""
    found: list[Mailbox] = []
    for item in mail.fields:
        if item.name in ("to", "cc") and all(item.name in one.covers for one in signed):
            found += address_list.mailboxes(item.value) or []
    return frozenset(mailbox.folded for mailbox in found)


def _timely(date: datetime | None, now: datetime) -> Finding:
    if date is None:
        return Finding(False, "The mail has no Date that can be read.")
    written = f"{date:%Y-%m-%d %H:%M} UTC"
    if abs(now - date) > DAY:
        return Finding(False, f"The Date of the mail is {written}, more than 24 hours from now.")
    return Finding(True, f"The Date of the mail is {written}, within 24 hours of now.")


def _short(words: list[str]) -> list[str]:
    return [word if len(word) <= 80 else f"{word[:79]}…" for word in words]


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-")).replace("Id", "ID").replace("Mime", "MIME")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
