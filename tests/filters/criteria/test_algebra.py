"""Trees of tests behave as Boolean algebra says, documents come back as they were, and nothing raises."""

from __future__ import annotations

import contextlib
import json
import pathlib
import string
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tried import CONTEXT, MAIL, document, judged, octets

from filters import criteria, fields, templates
from filters import tree as trees
from filters.evaluation import evaluate
from filters.folding import fold
from filters.mail import Mail
from filters.operators import OPERATORS

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "excerpt"))
READ = Mail.read(octets(MAIL))

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda text: fold(text) and fold(text, accents=True)
)
NAMES = [*sorted(fields.FIELDS), "header:X-Tag", "header:Subject", "header:x-none"]
ORDERED: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-10, 10_000) | st.floats(-10, 10_000),
    "importance": st.sampled_from(fields.IMPORTANCE),
    "weekday": st.sampled_from(fields.WEEKDAYS),
    "hour": st.integers(0, 24) | st.times().map(lambda time: f"{time:%H:%M}"),
    "date": st.dates().map(lambda day: day.isoformat()),
}
MEMBERS = {
    "i_am_in": st.sampled_from(["to", "cc", "bcc", "only", "list"]),
    "sender_in": st.sampled_from(["any", "book:private", "list:oncall", "group:x"]),
    "flags": st.sampled_from(["\\Seen", "flagged", "$Work"]),
}


#: How long something takes is asked elsewhere; a busy machine is no fault.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One value, or a list of them."""
    return values | st.lists(values, min_size=1, max_size=3)


@st.composite
def questions(draw: Any) -> dict[str, Any]:
    """A test of any field with any operator it takes."""
    name = draw(st.sampled_from(NAMES))
    field = fields.find(name)
    op = draw(st.sampled_from(OPERATORS[field.kind]))
    test = {"field": name, "op": op}
    if op in ("exists", "empty"):
        return {**test, **draw(st.sampled_from([{}, {"value": True}, {"value": False}]))}
    if field.kind == "truth":
        values = st.booleans()
    elif field.kind == "set":
        values = some(MEMBERS[name])
    elif field.kind in ORDERED:
        one = ORDERED[field.kind]
        values = one if op == "!=" else some(one)
        if op == "between":
            values = st.tuples(one, one).map(list)
    elif op == "regex":
        values = some(st.sampled_from(["a+", "^re", "(a|b)*c", r"\w+@", "é", "[^x]$"]))
    elif op == "under":
        values = some(st.sampled_from(["corp.example", "example.org", "org"]))
    else:
        values = some(TEXTS)
    accents = draw(st.sampled_from([{}, {"accents": True}]))
    return {**test, "value": draw(values), **accents}


def parsable(when: Any) -> bool:
    """Whether the criteria are taken: a random range may be empty."""
    try:
        criteria.parse(document(when))
    except criteria.FilterError:
        return False
    return True


TRIED = questions().filter(parsable)
TREES = st.recursive(
    TRIED,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda nodes: {"all": nodes}),
        st.lists(inner, min_size=1, max_size=3).map(lambda nodes: {"any": nodes}),
        inner.map(lambda node: {"not": node}),
    ),
    max_leaves=8,
).filter(parsable)


def plainly(node: Any) -> bool:
    """What a tree is worth, by nothing but Python's own logic and each test judged alone."""
    if "all" in node:
        return all(plainly(one) for one in node["all"])
    if "any" in node:
        return any(plainly(one) for one in node["any"])
    if "not" in node:
        return not plainly(node["not"])
    return judged(node, READ).matched


@given(TREES)
@settings(UNHURRIED, max_examples=300)
def test_a_tree_is_worth_what_its_tests_make_of_it(tree: Any) -> None:
    verdict = judged(tree, READ)
    assert verdict.matched is plainly(tree)
    asked = trees.tests(criteria.parse(document(tree)).when)
    assert sorted(one.path for one in (*verdict.hits, *verdict.misses)) == sorted(one.path for one in asked)
    json.dumps(verdict.document())


@given(TREES.filter(lambda tree: parsable({"not": {"not": tree}})))
@settings(UNHURRIED, max_examples=100)
def test_not_turns_a_tree_over(tree: Any) -> None:
    plain, turned = judged(tree, READ), judged({"not": tree}, READ)
    assert plain.matched is not turned.matched
    assert len(plain.hits) == len(turned.hits)
    assert judged({"not": {"not": tree}}, READ).matched is plain.matched


@given(
    TREES,
    st.fixed_dictionaries(
        {},
        optional={
            "source": st.sampled_from(["all", "smtp", "mailbox:a", "folder:a/b/c"]),
            "stop": st.booleans(),
            "max_per": st.builds(
                lambda count, seconds, then: {"count": count, "window": f"PT{seconds}S", "then": then},
                *(st.integers(1, 1000), st.integers(1, 2_678_400), st.sampled_from(["digest", "drop"])),
            ),
            "quiet": st.just({"from": "22:00", "to": "07:15", "then": "drop"}),
            "actions": st.just([{"sms": ["me"], "email": ["a@example.org"]}, {"fax": ["list:x"], "max_parts": 3}]),
        },
    ),
)
@settings(UNHURRIED, max_examples=150)
def test_a_filter_written_and_read_again_is_the_same(tree: Any, more: dict[str, Any]) -> None:
    found = criteria.parse(document(tree, **more))
    again = criteria.read(json.dumps(found.document()))[0]
    assert again == found
    assert again.document() == found.document()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["all", "any", "not", "field", "op", "value", "sms", "text", "x"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["name", "source", "when", "actions", "stop", "quiet", "max_per"]), JSON))
@settings(UNHURRIED, max_examples=300)
def test_any_document_is_a_filter_or_an_error_with_a_path(given_document: Any) -> None:
    with contextlib.suppress(criteria.FilterError):
        assert criteria.parse(given_document)
        return
    with pytest.raises(criteria.FilterError) as caught:
        criteria.parse(given_document)
    assert caught.value.path
    assert str(caught.value).isprintable()


# Any mail


def mails() -> list[bytes]:
    """The mails of the other suites: those programs write, and those a fuzzer stumbled over."""
    from corpus_mails.cases import cases

    found = [file.read_bytes() for file in sorted((ROOT / "fuzz" / "corpus").glob("*.eml"))]
    return found + [case.octets for case in cases()][::7]


def kind_of(name: str) -> str:
    return fields.find(name).kind


TEMPLATE = "".join(f"{{{name}}}" for name in templates.NAMES)
EVERYTHING = [
    criteria.parse(one)
    for one in (
        document({"any": [{"field": name, "op": "exists"} for name in NAMES]}),
        document(
            {"all": [{"field": name, "op": "empty"} for name in NAMES if "empty" in OPERATORS[fields.find(name).kind]]}
        ),
        *(
            document(
                {
                    "any": [
                        {"field": name, "op": op, "value": ["abc", "é", "x@example.org"]}
                        for name in NAMES
                        if kind_of(name) in ("text", "domain")
                    ]
                }
            )
            for op in ("contains", "word", "regex", "wildcard")
        ),
        document({"field": "name_spoof", "op": "is", "value": True}, actions=[{"sms": ["me"], "text": TEMPLATE}]),
        document({"field": "size", "op": ">=", "value": 0}, actions=[{"sms": ["me"], "text": TEMPLATE}]),
    )
]


@pytest.mark.parametrize("octets_of", mails(), ids=lambda octets_of: str(len(octets_of)))
def test_no_mail_of_the_corpus_makes_a_filter_raise(octets_of: bytes) -> None:
    for verdict in evaluate(EVERYTHING, Mail.read(octets_of), CONTEXT):
        json.dumps(verdict.document()).encode()


FIELD_NAMES = ["From", "To", "Subject", "Date", "List-Id", "Importance", "Content-Type", "Authentication-Results"]
LINES = st.tuples(st.sampled_from(FIELD_NAMES), st.text(max_size=60) | st.text(string.printable, max_size=60)).map(
    lambda line: f"{line[0]}: {line[1]}"
)


@given(st.lists(LINES, max_size=8), st.binary(max_size=200))
@settings(UNHURRIED, max_examples=200)
def test_no_mail_at_all_makes_a_filter_raise(lines: list[str], body: bytes) -> None:
    mail = Mail.read("\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body)
    for verdict in evaluate(EVERYTHING, mail, CONTEXT):
        json.dumps(verdict.document()).encode()


# Folding


@given(st.text(max_size=60))
@settings(UNHURRIED)
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(fold(text, accents=True), accents=True) == fold(text, accents=True)


@pytest.mark.parametrize(
    ("one", "other", "same", "same_with_accents"),
    [
        ("Café", "CAFE", True, False),
        ("Cafe\u0301", "café", True, True),
        ("STRASSE", "straße", True, True),
        ("ﬁle", "FILE", True, True),
        ("ＡＢＣ", "abc", True, True),
        ("Ångström", "angstrom", True, False),
        ("smørrebrød", "smorrebrod", True, False),
        ("Łódź", "lodz", True, False),
        ("İstanbul", "istanbul", True, False),
        ("ΣΊΣΥΦΟΣ", "σισυφος", True, False),
        ("Ёлка", "елка", True, False),
        ("が", "か", False, False),
        ("שָׁלוֹם", "שלום", False, False),
        ("a \t\r\n b", "a b", True, True),
        ("a\u00a0b", "a b", True, True),
        ("l’été", "l'ete", True, False),
        ("2²", "22", True, True),
    ],
)
def test_when_two_texts_are_the_same(one: str, other: str, same: bool, same_with_accents: bool) -> None:
    assert (fold(one) == fold(other)) is same
    assert (fold(one, accents=True) == fold(other, accents=True)) is same_with_accents
