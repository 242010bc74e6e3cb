"""What somebody might send, or save, to make filters slow, large or wrong: all of it is bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tried import CONTEXT, document, judged, short_mail

from filters import criteria
from filters.evaluation import evaluate
from filters.mail import Mail


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The processor time of a block is bounded, generously: this finds what is not linear."""
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)*$", "(.*a){12}$", "(?:a?){200}a{200}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_patterns_that_kill_backtracking_are_linear(pattern: str) -> None:
    mail = short_mail("From: x@example.org", body="a" * 50_000 + "!")
    with within(2):
        verdict = judged({"field": "body", "op": "regex", "value": pattern}, mail)
    assert len(verdict.hits) + len(verdict.misses) == 1


def test_wildcards_with_many_stars_are_linear() -> None:
    mail = short_mail("From: x@example.org", body="ab" * 25_000)
    with within(2):
        assert not judged({"field": "body", "op": "wildcard", "value": "*a" * 60 + "c"}, mail).matched


@pytest.mark.parametrize("filler", ["é", "e\u0301", "ﷺ", "\u0301", "“", "が"])
def test_folding_long_texts_is_linear(filler: str) -> None:
    mail = short_mail("From: x@example.org", "Content-Type: text/plain; charset=utf-8", body=f"{filler * 99}\n" * 800)
    with within(5):
        judged(
            {"any": [{"field": "body_full", "op": op, "value": "xyz"} for op in ("contains", "word", "wildcard")]}, mail
        )


@pytest.mark.parametrize("text", ["[" * 400_000, '{"all":' * 100_000, "[" * 999_999, '{"when":' + "[{" * 200_000])
def test_json_a_megabyte_deep_is_refused_in_plain_words(text: str) -> None:
    with within(2), pytest.raises(criteria.FilterError, match=r"deep|too long|not JSON") as caught:
        criteria.read(text)
    assert len(str(caught.value)) < 200


def test_json_longer_than_filters_are_is_refused() -> None:
    with within(2), pytest.raises(criteria.FilterError, match="too long"):
        criteria.read("[" * 10_000_001)


def test_a_tree_nested_as_python_objects_is_refused() -> None:
    tree: Any = {"field": "subject", "op": "exists"}
    for _ in range(100_000):
        tree = {"not": tree}
    with pytest.raises(criteria.FilterError, match="6 deep"):
        criteria.parse(document(tree))
    value: Any = "x"
    for _ in range(100_000):
        value = [value]
    with pytest.raises(criteria.FilterError, match="must be a text, not a list"):
        criteria.parse(document({"field": "subject", "op": "is", "value": value}))


def test_ten_thousand_filters_of_one_account() -> None:
    def one(number: int) -> dict[str, Any]:
        tests = [
            {"field": "from", "op": "is", "value": f"user{number}@corp.example"},
            {"field": "subject", "op": "contains", "value": f"ticket {number}"},
            {"field": "body", "op": "word", "value": f"word{number}"},
        ]
        return document({"any": tests}, name=f"filter {number}")

    mail = short_mail("From: user9999@corp.example", "Subject: hello", body="some words " * 200)
    with within(10):
        parsed = [criteria.parse(one(number)) for number in range(10_000)]
    with within(3):
        verdicts = evaluate(parsed, mail, CONTEXT)
    assert [verdict.filter for verdict in verdicts if verdict.matched] == ["filter 9999"]


def test_a_mail_of_two_thousand_parts_is_read_as_far_as_is_reasonable_and_a_note_says_so() -> None:
    part = b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\nx\r\n"
    mail = Mail.read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 2000 + b"--b--\r\n")
    with within(2):
        verdict = judged({"field": "attachment_count", "op": ">=", "value": 50}, mail)
    assert verdict.matched
    assert any("not looked at" in note for note in verdict.notes)


def test_thousands_of_recipients_are_asked_in_time() -> None:
    mail = short_mail("To: " + ", ".join(f"Name {n} <user{n}@example.org>" for n in range(3000)))
    with within(3):
        verdict = judged({"field": "any_recipient", "op": "under", "value": ["example.net", "example.com"]}, mail)
    assert len(verdict.misses[0].found) == 10
