"""Filters in their order, what they decide to say, and the words they say it in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tried import CONTEXT, MAIL, document, judged, octets, short_mail

from filters import criteria
from filters.context import Source
from filters.evaluation import evaluate
from filters.mail import Mail
from filters.verdict import Decided

READ = Mail.read(octets(MAIL))
TRUE = {"field": "size", "op": ">", "value": 0}
FALSE = {"field": "size", "op": "<", "value": 0}


def filters(*documents: dict[str, Any]) -> list[criteria.Filter]:
    return [criteria.parse(one) for one in documents]


def test_every_test_is_told_of_whatever_the_others_said() -> None:
    verdict = judged({"any": [TRUE, FALSE, {"all": [FALSE, {"not": TRUE}]}]}, READ)
    assert verdict.matched
    assert [one.path for one in verdict.hits] == ["when.any[0]", "when.any[2].all[1].not"]
    assert [one.path for one in verdict.misses] == ["when.any[1]", "when.any[2].all[0]"]


def test_a_filter_that_stops_is_the_last_one_asked() -> None:
    asked = filters(
        document(FALSE, name="no", stop=True), document(TRUE, name="yes", stop=True), document(TRUE, name="never")
    )
    verdicts = evaluate(asked, READ, CONTEXT)
    assert [(one.filter, one.matched, one.stopped) for one in verdicts] == [("no", False, False), ("yes", True, True)]
    assert verdicts[0].actions == ()


def test_a_filter_of_another_source_is_not_asked_and_says_so() -> None:
    asked = filters(document(TRUE, source="mailbox:work", stop=True), document(TRUE))
    first, second = evaluate(asked, READ, replace(CONTEXT, source=Source("smtp")))
    assert (first.matched, first.hits, first.stopped) == (False, (), False)
    assert "mailbox:work" in first.notes[0]
    assert second.matched


def test_actions_name_each_destination_once_a_channel() -> None:
    actions = [
        {"sms": ["me", "list:oncall", "me"], "email": ["me"], "text": "a"},
        {"sms": ["me"], "text": "a", "max_parts": 1},
        {"sms": ["me"], "text": "a"},
        {"fax": ["contact:Jean"], "text": "b", "subject": "{from_name}"},
    ]
    verdict = judged(TRUE, READ, actions=actions)
    assert verdict.actions == (
        Decided("sms", "me", "a"),
        Decided("sms", "list:oncall", "a"),
        Decided("email", "me", "a", subject='Re: [dev] AW: Café "URGENT" of today'),
        Decided("sms", "me", "a", 1),
        Decided("fax", "contact:Jean", "b", subject="André Boss"),
    )


def test_a_verdict_is_json_as_the_contract_writes_it() -> None:
    told = json.loads(json.dumps(judged(TRUE, READ, actions=[{"sms": ["me"], "text": "a"}]).document()))
    assert told == {
        "matched": True,
        "hits": [{"path": "when", "field": "size", "op": ">", "value": 0, "found": READ.size}],
        "misses": [],
        "actions": [{"channel": "sms", "to": "me", "text": "a"}],
        "notes": [],
        "stopped": False,
    }


# Texts


def said(text: str | None, mail: Mail = READ, context: Any = CONTEXT) -> str:
    action = {"sms": ["me"], **({"text": text} if text is not None else {})}
    return judged(TRUE, mail, context, actions=[action]).actions[0].text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{from}", "Boss+sales@EU.Corp.example"),
        ("{from_name}", "André Boss"),
        ("{to}", "ann@example.org, bob@example.net"),
        ("{subject}", 'Re: [dev] AW: Café "URGENT" of today'),
        ("{size}", "1.3 kB"),
        ("{attachments}", "Invoice 2026.pdf, logo.png"),
        ("{date} {time}", "2026-07-14 10:05"),
        ("{link}", "https://mail.example.org/1"),
        ("{folder}", "INBOX"),
        ("{{from}} {{}} }}{{", "{from} {} }{"),
        ("a {from_name}{from_name} b", "a André BossAndré Boss b"),
        ("  padded \n ", "padded"),
    ],
)
def test_names_in_braces(text: str, expected: str) -> None:
    context = replace(CONTEXT, link="https://mail.example.org/1", source=Source("mailbox", "work", "INBOX"))
    assert said(text, context=context) == expected


def test_the_excerpt_is_the_senders_own_words() -> None:
    assert said("{excerpt}") == "The new words: the server is down.\nRücksprache nötig, l'équipe sait."


def test_the_usual_text_says_who_what_and_the_words() -> None:
    mail = short_mail("From: Ann <ann@example.org>", "Subject: Lunch?", body="At noon.")
    assert said(None, mail) == "Ann: Lunch?\nAt noon."
    assert said(None, short_mail("From: Ann <ann@example.org>", body="At noon.")) == "Ann\nAt noon."


def test_what_a_mail_says_is_no_template() -> None:
    mail = short_mail("From: Ann <ann@example.org>", "Subject: {from} {{ {nothing} }")
    assert said("{subject}!", mail) == "{from} {{ {nothing} }!"


def test_a_text_of_which_nothing_is_left_names_the_sender() -> None:
    assert said("{subject}", short_mail("From: Ann <ann@example.org>")) == "Ann"
    assert said("{subject}", short_mail("X: y"))


def test_a_name_that_shows_another_address_is_not_shown() -> None:
    assert said("{from_name}", short_mail('From: "boss@corp.example" <evil@x.example>')) == "evil@x.example"


def test_a_mail_without_a_date_is_of_now() -> None:
    context = replace(CONTEXT, now=datetime(2026, 1, 2, 3, 4, tzinfo=ZoneInfo("Europe/Brussels")))
    assert said("{date} {time}", short_mail("From: x@example.org"), context) == "2026-01-02 03:04"
    early = short_mail("Date: Mon, 1 Jan 0001 00:00:00 +1400")
    assert said("{date}", early, context)


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (5_300_000, "5.3 MB")]
)
def test_sizes_are_for_people(size: int, shown: str) -> None:
    assert judged({"not": FALSE}, replace(READ, size=size), actions=[{"sms": ["me"], "text": "{size}"}]).actions[
        0
    ].text == (shown)
