"""A filter said in Sieve finds the same mails, and what Sieve cannot say is refused by its path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tried import CONTEXT, MAIL, NOW, document, octets, short_mail

from filters import criteria, sieve
from filters.evaluation import evaluate
from filters.mail import Mail
from filters.sieve_export import script

SUBJECT = {"field": "subject", "op": "contains", "value": "today"}
OCTETS = octets(MAIL)


def both(when: Any, raw: bytes = OCTETS, context: Any = CONTEXT) -> tuple[bool, bool]:
    """What a filter finds, and what the script made of it does."""
    made = criteria.parse(document(when))
    asked = [made, sieve.parse(script(made))]
    ours, theirs = evaluate(asked, Mail.read(raw), context, raw)
    return ours.matched, theirs.matched


SAID: list[Any] = [
    SUBJECT,
    {"field": "subject", "op": "is", "value": ["x", "y"]},
    {"field": "subject", "op": "begins", "value": "re: [dev]"},
    {"field": "subject", "op": "ends", "value": "today"},
    {"field": "subject", "op": "wildcard", "value": "*aw:?caf*"},
    {"field": "subject", "op": "wildcard", "value": "*\\*"},
    {"field": "subject", "op": "contains", "value": '100% "*?\\'},
    {"field": "subject", "op": "regex", "value": r"^Re: \[[a-z]+\]"},
    {"field": "subject", "op": "contains", "value": "CAFÉ", "accents": True},
    {"field": "subject", "op": "exists"},
    {"field": "subject", "op": "empty"},
    {"field": "subject", "op": "empty", "value": False},
    {"field": "header:X-Tag", "op": "is", "value": "two"},
    {"field": "header:X-None", "op": "exists", "value": False},
    {"field": "header:X-Empty", "op": "empty"},
    {"field": "from", "op": "is", "value": "boss+sales@eu.corp.example"},
    {"field": "from", "op": "under", "value": ["corp.example", "@x.example"]},
    {"field": "from", "op": "under", "value": "orp.example"},
    {"field": "from:detail", "op": "is", "value": "sales"},
    {"field": "from:local", "op": "begins", "value": "boss"},
    {"field": "from:domain", "op": "wildcard", "value": "eu.*"},
    {"field": "cc", "op": "exists"},
    {"field": "any_sender", "op": "is", "value": "office@corp.example"},
    {"field": "any_recipient", "op": "in", "value": ["carl@example.com", "x@example.com"]},
    {"field": "envelope_from", "op": "contains", "value": "mta"},
    {"field": "envelope_to:detail", "op": "is", "value": "lists"},
    {"field": "list_id", "op": "is", "value": "dev.lists.corp.example"},
    {"field": "list_id", "op": "is", "value": "lists.corp.example"},
    {"field": "is_list", "op": "is", "value": True},
    {"field": "is_list", "op": "!=", "value": True},
    {"field": "is_list", "op": "is", "value": False},
    {"field": "body_full", "op": "contains", "value": "quoted question"},
    {"field": "any_text", "op": "contains", "value": "today"},
    *(
        {"field": "size", "op": op, "value": value}
        for op in ("=", "!=", "<", "<=", ">", ">=")
        for value in (1, len(OCTETS))
    ),
    {"field": "size", "op": "=", "value": [1, len(OCTETS)]},
    {"field": "size", "op": "between", "value": [len(OCTETS), len(OCTETS) + 1]},
    {"field": "size", "op": "between", "value": [1, len(OCTETS)]},
    {"field": "recipients", "op": ">=", "value": 3},
    {"field": "recipients", "op": "in", "value": [1, 2]},
    {"field": "sender_in", "op": "in", "value": ["list:oncall", "book:private"]},
    {"field": "sender_in", "op": "in", "value": "list:oncall"},
    {"field": "sender_in", "op": "empty"},
    {"field": "weekday", "op": "in", "value": ["sat", "tue"]},
    {"field": "weekday", "op": "between", "value": ["fri", "tue"]},
    {"field": "hour", "op": "between", "value": ["22:00", "07:00"]},
    {"field": "hour", "op": "between", "value": ["08:00", "24:00"]},
    {"field": "hour", "op": "=", "value": [9, 10]},
    {"field": "hour", "op": "<=", "value": "10:29"},
    {"field": "date", "op": "=", "value": "2026-07-14"},
    {"field": "date", "op": "between", "value": ["2026-07-01", "2026-07-14"]},
    {"all": [SUBJECT, {"any": [{"not": SUBJECT}, {"field": "cc", "op": "is", "value": "carl@example.com"}]}]},
]


@pytest.mark.parametrize("when", SAID, ids=lambda when: str(when)[:60])
def test_a_script_finds_what_the_filter_finds(when: Any) -> None:
    ours, theirs = both(when)
    assert theirs is ours
    ours, theirs = both({"not": when})
    assert theirs is ours
    bare = octets("From: x@other.example\nSubject: nothing\n\nhello\n")
    ours, theirs = both(when, bare)
    assert theirs is ours


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_hours_are_the_same_around_the_clock(hour: int) -> None:
    context = replace(CONTEXT, now=NOW.replace(hour=hour, minute=0))
    for value in (["22:00", "07:00"], ["03:00", "09:00"], ["00:00", "21:00"]):
        ours, theirs = both({"field": "hour", "op": "between", "value": value}, context=context)
        assert theirs is ours, value


def test_actions_are_notifications_with_the_same_texts() -> None:
    actions = [
        {"sms": ["me", "+32475123456", "contact:Jean Dupont"], "text": '{subject}: "see" {{me}} \\ now'},
        {"email": ["list:oncall", "a+b@example.org"], "text": "from {from}"},
        {"fax": ["me"], "text": "plain"},
    ]
    mail = short_mail("From: Ann <ann@example.org>", "Subject: lunch")
    made = criteria.parse(document(SUBJECT | {"value": "lunch"}, actions=actions, stop=True))
    ours, theirs = (
        evaluate([one], mail, CONTEXT, octets("From: Ann <ann@example.org>\nSubject: lunch\n\nhello\n"))[0]
        for one in (made, sieve.parse(script(made)))
    )
    assert [(one.channel, one.to, one.text) for one in theirs.actions] == [
        (one.channel, one.to, one.text) for one in ours.actions
    ]
    assert theirs.stopped


REFUSED: list[tuple[dict[str, Any], str]] = [
    (document({"all": [SUBJECT, {"field": "body", "op": "contains", "value": "x"}]}), "when.all[1].field"),
    (document({"field": "subject_base", "op": "is", "value": "x"}), "when.field"),
    (document({"field": "dmarc", "op": "is", "value": "pass"}), "when.field"),
    (document({"field": "from:name", "op": "is", "value": "x"}), "when.field"),
    (document({"field": "from:local", "op": "exists"}), "when.op"),
    (document({"field": "subject", "op": "word", "value": "x"}), "when.op"),
    (document({"field": "subject", "op": "is", "value": "é"}), "when.value"),
    (document({"field": "subject", "op": "regex", "value": r"\bx"}), "when.value"),
    (document({"field": "subject", "op": "regex", "value": "a+?"}), "when.value"),
    (document({"field": "body_full", "op": "is", "value": "x"}), "when.op"),
    (document({"field": "size", "op": ">", "value": 1.5}), "when.value"),
    (document(SUBJECT, source="smtp"), "source"),
    (document(SUBJECT, max_per={"count": 1, "window": "PT1H"}), "max_per"),
    (document(SUBJECT, quiet={"from": "22:00", "to": "07:00"}), "quiet"),
    (document(SUBJECT, actions=[{"sms": ["me"]}, {"sms": ["me"], "max_parts": 1}]), "actions[1].max_parts"),
    (document(SUBJECT, actions=[{"email": ["me"], "subject": "x"}]), "actions[0].subject"),
    (document(SUBJECT, actions=[{"sms": ["me"], "text": "{excerpt}"}]), "actions[0].text"),
    (document(SUBJECT, actions=[{"sms": ["me"], "text": "${{subject}} {subject}"}]), "actions[0].text"),
]


@pytest.mark.parametrize(("given", "path"), REFUSED, ids=lambda part: str(part)[:40])
def test_what_sieve_cannot_say_is_refused_by_its_path(given: dict[str, Any], path: str) -> None:
    with pytest.raises(criteria.FilterError) as caught:
        script(criteria.parse(given))
    assert caught.value.path == path
