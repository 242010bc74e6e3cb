"""A JSON filter, its export to Sieve run here, and run by Pigeonhole: all three find the same mails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import criteria
from filters.evaluation import evaluate
from filters.sieve import parse
from filters.sieve_export import script
from tests.filters.sieve.conftest import look
from tests.filters.sieve.mails import MIXED, ODD, SIMPLE
from tests.filters.sieve.test_against_pigeonhole import SAME
from tests.peers.pigeonhole import Pigeonhole

pytestmark = pytest.mark.peer("pigeonhole")

#: A filter asks the first Subject, a script every one.
ONCE = ODD.replace(b"Subject: second subject\n", b"")
WORDS = ["urgent", "Report of", "2026", "files", "stars", "*", "second", "[brackets]", "7", "highest"]
ADDRESSES = ["jean+news@example.org", "example.org", "jean", "org", "x.org", "a.b@c.example", "me@example.org"]


def _test(fields: list[str], ops: list[str], values: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)
    return st.fixed_dictionaries({"field": st.sampled_from(fields), "op": st.sampled_from(ops), "value": some})


TESTS = st.one_of(
    _test(["subject", "header:X-Priority", "header:X-Digits"], ["contains", "is", "begins", "ends", "wildcard"], WORDS),
    _test(["from", "to", "cc", "any_sender", "envelope_from"], ["contains", "is", "begins", "ends"], ADDRESSES),
    _test(["from", "reply_to", "any_recipient"], ["under"], ["example.org", "org", "c.example"]),
    _test(["from:local", "from:domain"], ["is", "contains"], ADDRESSES),
    _test(["body_full"], ["contains"], ["report is ready", "plain", "words", "nothing"]),
    st.fixed_dictionaries(
        {"field": st.just("size"), "op": st.sampled_from(["<", "<=", ">", ">=", "="]), "value": st.integers(500, 1100)}
    ),
    st.fixed_dictionaries(
        {"field": st.sampled_from(["subject", "cc", "header:X-Empty"]), "op": st.just("exists"), "value": st.booleans()}
    ),
    st.fixed_dictionaries({"field": st.just("is_list"), "op": st.just("is"), "value": st.booleans()}),
)
TREES = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda nodes: {"all": nodes}),
        st.lists(inner, min_size=1, max_size=3).map(lambda nodes: {"any": nodes}),
        inner.map(lambda node: {"not": node}),
    ),
    max_leaves=6,
)


@settings(SAME, max_examples=80)
@given(tree=TREES, mail=st.sampled_from([SIMPLE, MIXED, ONCE]))
def test_a_filter_and_its_export_find_the_same_mails(pigeonhole: Pigeonhole, tree: dict[str, Any], mail: bytes) -> None:
    when = tree if "field" not in tree else {"all": [tree]}
    document = {"name": "f", "when": when, "actions": [{"email": ["a@example.org"], "text": "{subject}"}]}
    made = criteria.parse(document)
    text = script(made)
    sight = look(mail)
    ours, theirs = evaluate([made, parse(text)], sight.mail, sight.context, mail)
    assert theirs.matched == ours.matched, text
    there = pigeonhole.run(text, mail)
    assert there.refused == (), there.output
    assert bool(there.notified) == ours.matched, text
