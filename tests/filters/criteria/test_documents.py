"""What a document may say, and that an error names the path."""

from __future__ import annotations

import json
from datetime import time, timedelta
from typing import Any

import pytest
from tried import document

from filters import criteria
from filters.context import Source
from filters.criteria import FilterError

SUBJECT = {"field": "subject", "op": "contains", "value": "x"}


def refusal(given: Any) -> FilterError:
    with pytest.raises(FilterError) as caught:
        criteria.parse(given)
    return caught.value


def nested(depth: int, node: Any = SUBJECT) -> Any:
    """A tree whose test has this depth."""
    for _ in range(depth - 1):
        node = {"all": [node]}
    return node


#: Criteria, the path of what is wrong with them, and a word of why.
WRONG: list[tuple[Any, str, str]] = [
    ([], "when", "not a list"),
    ("subject", "when", "not the text"),
    ({}, "when.field", "missing"),
    ({"all": []}, "when.all", "empty"),
    ({"any": {}}, "when.any", "must be a list"),
    ({"all": [SUBJECT, 5]}, "when.all[1]", "the number 5"),
    ({"all": [SUBJECT], "any": [SUBJECT]}, "when.any", "beside all"),
    ({"not": SUBJECT, "field": "subject"}, "when.field", "beside not"),
    ({"not": [SUBJECT]}, "when.not", "not a list"),
    ({"all": [SUBJECT, {"not": {"any": [{"field": "subject"}]}}]}, "when.all[1].not.any[0].op", "missing"),
    ({"al": [SUBJECT]}, "when.al", "no such key"),
    ({**SUBJECT, "feild": 1}, "when.feild", "did you mean field"),
    ({"field": "subject", "op": "contains"}, "when.value", "missing"),
    ({"field": "subject", "op": "contains", "value": None}, "when.value", "null"),
    ({"all": [SUBJECT, {**SUBJECT, "op": "contain"}]}, "when.all[1].op", "did you mean contains"),
    ({**SUBJECT, "op": "=="}, "when.op", "no operator"),
    ({**SUBJECT, "op": "startswith"}, "when.op", "did you mean begins"),
    ({**SUBJECT, "op": ">"}, "when.op", "does not take"),
    ({**SUBJECT, "op": 5}, "when.op", "the number 5"),
    ({**SUBJECT, "field": "subjekt"}, "when.field", "did you mean subject"),
    ({**SUBJECT, "field": ["subject"]}, "when.field", "a list"),
    ({**SUBJECT, "field": "from:domian"}, "when.field", "no :domian"),
    ({**SUBJECT, "field": "subject:local"}, "when.field", "no suffix"),
    ({**SUBJECT, "field": "header"}, "when.field", "which header"),
    ({**SUBJECT, "field": "header:"}, "when.field", "missing"),
    ({**SUBJECT, "field": "header:a b"}, "when.field", "no name"),
    ({**SUBJECT, "field": "envelope_from:name"}, "when.field", "no display names"),
    ({**SUBJECT, "value": 5}, "when.value", "must be a text"),
    ({**SUBJECT, "value": {}}, "when.value", "an object"),
    ({**SUBJECT, "value": []}, "when.value", "empty list"),
    ({**SUBJECT, "value": ["a", True]}, "when.value[1]", "not true"),
    ({**SUBJECT, "value": ["a", ["b"]]}, "when.value[1]", "a list"),
    ({**SUBJECT, "value": ""}, "when.value", "is empty"),
    ({**SUBJECT, "value": "  "}, "when.value", "nothing is left"),
    ({**SUBJECT, "value": "a" * 1001}, "when.value", "1000"),
    ({**SUBJECT, "value": ["a"] * 1001}, "when.value", "1000"),
    ({**SUBJECT, "value": "\ud800"}, "when.value", "no text has"),
    ({**SUBJECT, "accents": 1}, "when.accents", "true or false"),
    ({**SUBJECT, "op": "regex", "value": "(a"}, "when.value", "RE2"),
    ({**SUBJECT, "op": "regex", "value": ["a", "(?=a)"]}, "when.value[1]", "RE2"),
    ({**SUBJECT, "op": "regex", "value": r"(a)\1"}, "when.value", "RE2"),
    ({**SUBJECT, "op": "regex", "value": "(a{900}){900}"}, "when.value", "RE2"),
    ({**SUBJECT, "op": "regex", "value": "[ab].{0,999}[cd].{999}"}, "when.value", "too large"),
    ({"field": "subject", "op": "exists", "value": "x"}, "when.value", "takes no value"),
    ({"field": "from", "op": "under", "value": "not a domain"}, "when.value", "no domain"),
    ({"field": "subject", "op": "under", "value": "example.org"}, "when.op", "does not take"),
    ({"field": "is_list", "op": "is", "value": "true"}, "when.value", "true or false"),
    ({"field": "is_list", "op": "contains", "value": True}, "when.op", "does not take"),
    ({"field": "size", "op": ">", "value": "1000"}, "when.value", "must be a number"),
    ({"field": "size", "op": ">", "value": True}, "when.value", "not true"),
    ({"field": "size", "op": "=", "value": [1, "2"]}, "when.value[1]", "must be a number"),
    ({"field": "size", "op": "!=", "value": [1, 2]}, "when.value", "one value"),
    ({"field": "size", "op": ">", "value": float("inf")}, "when.value", "beyond"),
    ({"field": "size", "op": ">", "value": 10**400}, "when.value", "beyond"),
    ({"field": "size", "op": "between", "value": 5}, "when.value", "two values"),
    ({"field": "size", "op": "between", "value": [1, 2, 3]}, "when.value", "two values"),
    ({"field": "size", "op": "between", "value": [5, 1]}, "when.value", "after"),
    ({"field": "size", "op": "between", "value": [5, 5]}, "when.value", "nothing lies"),
    ({"field": "size", "op": "between", "value": [5, "x"]}, "when.value[1]", "must be a number"),
    ({"field": "hour", "op": ">", "value": "25:00"}, "when.value", "no time"),
    ({"field": "hour", "op": ">", "value": "8h"}, "when.value", "08:30"),
    ({"field": "hour", "op": "between", "value": ["08:00", "08:60"]}, "when.value[1]", "no time"),
    ({"field": "date", "op": ">", "value": "14/7/2026"}, "when.value", "2026-12-31"),
    ({"field": "date", "op": ">", "value": "2026-02-30"}, "when.value", "no day"),
    ({"field": "weekday", "op": "in", "value": ["mon", "friday"]}, "when.value[1]", "did you mean fri"),
    ({"field": "importance", "op": ">=", "value": "urgent"}, "when.value", "low, normal, high"),
    ({"field": "i_am_in", "op": "in", "value": "form"}, "when.value", "none of"),
    ({"field": "sender_in", "op": "in", "value": "private"}, "when.value", "book:NAME"),
    ({"field": "sender_in", "op": "in", "value": ["any", "book:"]}, "when.value[1]", "book:NAME"),
    (nested(7), "when" + ".all[0]" * 6, "6 deep"),
    (nested(50), "when" + ".all[0]" * 6, "6 deep"),
    ({"all": [{**SUBJECT, "value": ["x"] * 1000}] * 6}, "when.all[5].value", "5000 values"),
    ({"all": [{**SUBJECT, "op": "regex", "value": "[ab].{0,200}x"}] * 40}, "when.all[5].value", "patterns"),
    ({"all": [SUBJECT] * 101}, "when.all", "100"),
    ({"all": [{"any": [SUBJECT] * 60}, {"any": [SUBJECT] * 41}]}, "when.all[1].any[40]", "100"),
]


@pytest.mark.parametrize(("when", "path", "why"), WRONG, ids=range(len(WRONG)))
def test_criteria_that_are_wrong_are_refused_by_their_path(when: Any, path: str, why: str) -> None:
    error = refusal(document(when))
    assert error.path == path
    assert why in error.problem
    assert str(error) == f"{path}: {error.problem}"
    assert str(error).isprintable()


ACTION = {"sms": ["me"]}
#: What is changed in a good document, the path, and a word of why.
WRONG_DOCUMENTS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": None}, "name", "null"),
    ({"name": ""}, "name", "one line"),
    ({"name": "a\nb"}, "name", "one line"),
    ({"name": "a" * 101}, "name", "100"),
    ({"name": ["a"]}, "name", "must be a text"),
    ({"whne": SUBJECT}, "whne", "did you mean when"),
    ({"source": "inbox"}, "source", "no source"),
    ({"source": "mailbox:"}, "source", "no source"),
    ({"source": "folder:work"}, "source", "folder:NAME/FOLDER"),
    ({"source": 1}, "source", "must be a text"),
    ({"stop": "yes"}, "stop", "true or false"),
    ({"actions": []}, "actions", "empty"),
    ({"actions": ACTION}, "actions", "must be a list"),
    ({"actions": [ACTION] * 21}, "actions", "20"),
    ({"actions": [ACTION, {}]}, "actions[1]", "names nobody"),
    ({"actions": [{"text": "hello"}]}, "actions[0]", "names nobody"),
    ({"actions": [{"smss": ["me"]}]}, "actions[0].smss", "did you mean sms"),
    ({"actions": [{"sms": "me"}]}, "actions[0].sms", "must be a list"),
    ({"actions": [{"sms": []}]}, "actions[0].sms", "empty"),
    ({"actions": [{"sms": ["me", 5]}]}, "actions[0].sms[1]", "must be a text"),
    ({"actions": [{"sms": ["{from}"]}]}, "actions[0].sms[0]", "never taken from the mail"),
    ({"actions": [{"sms": ["Jean Dupont"]}]}, "actions[0].sms[0]", "contact:NAME"),
    ({"actions": [{"sms": ["ann@example.org"]}]}, "actions[0].sms[0]", "under email"),
    ({"actions": [{"sms": ["contacts:Jean"]}]}, "actions[0].sms[0]", "did you mean contact:"),
    ({"actions": [{"sms": ["contact:"]}]}, "actions[0].sms[0]", "no destination"),
    ({"actions": [{"email": ["+32475123456"]}]}, "actions[0].email[0]", "no destination"),
    ({"actions": [{"email": ["ann@"]}]}, "actions[0].email[0]", "no destination"),
    ({"actions": [{"fax": ["me", "call me"]}]}, "actions[0].fax[1]", "no destination"),
    ({"actions": [{**ACTION, "text": "{form}"}]}, "actions[0].text", "did you mean from"),
    ({"actions": [{**ACTION, "text": "{}"}]}, "actions[0].text", "there is no {}"),
    ({"actions": [{**ACTION, "text": "a } b"}]}, "actions[0].text", "twice"),
    ({"actions": [{**ACTION, "text": " "}]}, "actions[0].text", "says nothing"),
    ({"actions": [{**ACTION, "text": "a" * 2001}]}, "actions[0].text", "2000"),
    ({"actions": [{**ACTION, "text": 5}]}, "actions[0].text", "must be a text"),
    ({"actions": [{**ACTION, "max_parts": 0}]}, "actions[0].max_parts", "between 1 and 255"),
    ({"actions": [{**ACTION, "max_parts": 1.5}]}, "actions[0].max_parts", "whole number"),
    ({"actions": [{**ACTION, "max_parts": True}]}, "actions[0].max_parts", "whole number"),
    ({"max_per": 5}, "max_per", "must be an object"),
    ({"max_per": {"count": 5}}, "max_per.window", "missing"),
    ({"max_per": {"window": "PT1H"}}, "max_per.count", "missing"),
    ({"max_per": {"count": 0, "window": "PT1H"}}, "max_per.count", "between"),
    ({"max_per": {"count": 5, "window": "1h"}}, "max_per.window", "ISO 8601"),
    ({"max_per": {"count": 5, "window": "PT0S"}}, "max_per.window", "between"),
    ({"max_per": {"count": 5, "window": "P1Y"}}, "max_per.window", "differ in length"),
    ({"max_per": {"count": 5, "window": "PT1H", "then": "digset"}}, "max_per.then", "did you mean digest"),
    ({"max_per": {"count": 5, "window": "PT1H", "than": "drop"}}, "max_per.than", "did you mean then"),
    ({"quiet": {"from": "22:00"}}, "quiet.to", "missing"),
    ({"quiet": {"from": "22", "to": "07:00"}}, "quiet.from", "22:00"),
    ({"quiet": {"from": "22:00", "to": "24:00"}}, "quiet.to", "22:00"),
    ({"quiet": {"from": "22:00", "to": "22:00"}}, "quiet.to", "the same"),
    ({"quiet": {"from": "22:00", "to": "07:00", "then": "digest"}}, "quiet.then", "hold or drop"),
]


@pytest.mark.parametrize(("changes", "path", "why"), WRONG_DOCUMENTS, ids=range(len(WRONG_DOCUMENTS)))
def test_documents_that_are_wrong_are_refused_by_their_path(changes: dict[str, Any], path: str, why: str) -> None:
    error = refusal({**document(SUBJECT), **changes})
    assert (error.path, why in error.problem) == (path, True), error


@pytest.mark.parametrize("missing", ["name", "when", "actions"])
def test_what_a_filter_cannot_do_without(missing: str) -> None:
    given = document(SUBJECT)
    del given[missing]
    assert str(refusal(given)) == f"{missing}: is missing"


@pytest.mark.parametrize("given", [None, 5, "x", [], True])
def test_what_is_no_object_is_no_filter(given: Any) -> None:
    assert refusal(given).path == ""


def test_trees_as_deep_and_as_wide_as_allowed_are_taken() -> None:
    criteria.parse(document(nested(1)))
    criteria.parse(document(nested(6)))
    criteria.parse(document({"all": [SUBJECT] * 100}))
    criteria.parse(document({"not": {"not": {"not": {"not": {"not": SUBJECT}}}}}))


# Whole documents

CONTRACT = """
{"name": "boss, in working hours",
 "source": "all",
 "when": {"all": [
    {"field": "from", "op": "is", "value": ["boss@corp.example", "ceo@corp.example"]},
    {"any": [{"field": "subject", "op": "contains", "value": "urgent"},
             {"field": "importance", "op": ">=", "value": "high"}]},
    {"not": {"field": "is_list", "op": "is", "value": true}},
    {"field": "hour", "op": "between", "value": ["08:00", "19:00"]}]},
 "actions": [{"sms": ["me"], "text": "{from_name}: {subject}", "max_parts": 1},
             {"email": ["list:oncall"]}, {"fax": ["contact:Jean Dupont"]}],
 "stop": true,
 "max_per": {"count": 5, "window": "PT1H", "then": "digest"},
 "quiet": {"from": "22:00", "to": "07:00", "then": "hold"}}
"""


def test_the_filter_of_the_contract_is_read_and_written() -> None:
    (found,) = criteria.read(CONTRACT)
    assert found.document() == json.loads(CONTRACT)
    assert found.stop
    assert found.max_per == criteria.MaxPer(5, timedelta(hours=1), "digest")
    assert found.quiet == criteria.Quiet(time(22), time(7), "hold")
    assert found.actions[0] == criteria.Action((("sms", ("me",)),), "{from_name}: {subject}", 1)


def test_a_filter_tells_what_of_a_mail_it_needs() -> None:
    def needs(when: Any, text: str = "{from}") -> set[str]:
        return set(criteria.parse(document(when, actions=[{"sms": ["me"], "text": text}])).needs)

    assert needs(SUBJECT) == {"headers"}
    assert needs({"field": "size", "op": ">", "value": 5}, "new mail") == set()
    assert needs({"field": "has_attachment", "op": "is", "value": True}) == {"headers", "structure"}
    assert needs({"all": [SUBJECT, {"not": {"field": "body", "op": "word", "value": "a"}}]}) >= {"body"}
    assert needs(SUBJECT, "{excerpt}") >= {"body"}
    assert needs({"field": "flags", "op": "in", "value": "Seen"}) == {"headers", "flags"}
    assert "body" in criteria.parse(document(SUBJECT)).needs, "the usual text says what the mail says"


def test_a_filter_tells_which_books_it_names() -> None:
    def books(*tests: Any) -> set[str]:
        return set(criteria.parse(document({"all": [{"any": list(tests)}]})).books)

    assert books(SUBJECT) == set()
    assert books({"field": "sender_in", "op": "in", "value": ["book:Work", "any"]}) == {"book:Work", "any"}
    assert books({"field": "sender_in", "op": "is", "value": "list:a"}, {"field": "sender_in", "op": "empty"}) == {
        *("list:a", "any")
    }


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ("all", (True, True, True, True)),
        ("smtp", (True, False, False, False)),
        ("mailbox:Work", (False, True, True, False)),
        ("folder:work/INBOX", (False, True, False, False)),
        ("folder:work/Lists/dev", (False, False, True, False)),
    ],
)
def test_sources(source: str, fits: tuple[bool, ...]) -> None:
    doors = (
        Source("smtp"),
        Source("mailbox", "work", "INBOX"),
        Source("mailbox", "work", "Lists/dev"),
        Source("mailbox", "home", "INBOX"),
    )
    found = criteria.parse(document(SUBJECT, source=source))
    assert tuple(found.watches(door) for door in doors) == fits
    assert found.watches(None)


# Texts of documents


def broken(text: str | bytes) -> FilterError:
    with pytest.raises(FilterError) as caught:
        criteria.read(text)
    return caught.value


def test_texts_that_are_no_json_are_refused_with_the_line() -> None:
    assert broken('{"name":\n "a",}').path.startswith("line 2")
    assert "UTF-8" in str(broken(b"\xff\xfe"))
    assert "NaN" in str(broken('{"name": NaN}'))
    assert broken("").path.startswith("line 1")
    assert "not JSON" in str(broken('{"a": ' + "9" * 5000 + "}"))


def test_a_key_that_is_there_twice_is_refused_by_its_path() -> None:
    text = json.dumps(document(SUBJECT)).replace('"op": "contains"', '"op": "contains", "op": "is"')
    assert str(broken(text)) == "when.op: is there twice"


def test_several_filters_are_a_list_and_errors_say_which() -> None:
    assert len(criteria.read(json.dumps([document(SUBJECT)] * 3))) == 3
    assert broken(json.dumps([document(SUBJECT), {**document(SUBJECT), "stop": 1}])).path == "[1].stop"
    assert "no filter" in str(broken("[]"))


def test_a_byte_order_mark_is_no_fault() -> None:
    assert criteria.read(b"\xef\xbb\xbf" + CONTRACT.encode()) == criteria.read(CONTRACT)
