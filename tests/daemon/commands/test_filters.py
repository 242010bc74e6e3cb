"""`tocsin filter`, `tocsin notice`, and how `tocsin account` says what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def document(name: str = "boss", **more: Any) -> dict[str, Any]:
    when = {"all": [{"field": "from", "op": "is", "value": "boss@corp.example"}]}
    return {"name": name, "when": when, "actions": [{"sms": ["me"], "text": "{subject}"}], **more}


SCRIPT = 'require ["enotify"];\nif header :contains "subject" "fire" { notify "tel:+32475000009"; }\n'


@pytest.fixture
def add(tocsin: Any, jean: str, tmp_path: Path) -> Any:
    """Adds filters to Jean's; the answer."""

    def add(content: Any, *options: str) -> Any:
        file = tmp_path / "f.json"
        file.write_text(json.dumps(content))
        return tocsin("filter", "add", jean, "--file", str(file), *options)

    return add


def listed(tocsin: Any) -> list[dict[str, Any]]:
    answer = tocsin("filter", "list", "jean", "--json")
    assert answer.code == 0, answer.err
    found: list[dict[str, Any]] = json.loads(answer.out)
    return found


def test_a_filter_is_added_shown_and_exported_as_it_was(tocsin: Any, add: Any) -> None:
    answer = add(document(stop=True, source="smtp"))
    assert answer.code == 0, answer.err
    number = answer.out.strip()
    (one,) = listed(tocsin)
    assert (one["id"], one["order"], one["name"], one["enabled"], one["kind"]) == (number, 1, "boss", True, "json")
    shown = json.loads(tocsin("filter", "show", "jean", number, "--json").out)
    assert shown["filter"] == document(stop=True, source="smtp")
    assert json.loads(tocsin("filter", "export", "jean", number).out) == document(stop=True, source="smtp")
    assert "boss@corp.example" in tocsin("filter", "show", "jean", "boss").out


def test_what_is_exported_can_be_added(tocsin: Any, add: Any, jean: str, tmp_path: Path) -> None:
    add([document("one"), document("two")])
    tocsin("filter", "add", jean, "--sieve", "-", "--name", "fire", stdin=SCRIPT.encode())
    exported = json.loads(tocsin("filter", "export", jean).out)
    assert [one["name"] for one in exported] == ["one", "two", "fire"]
    answer = add(exported)
    assert answer.code == 0, answer.err
    assert [one["name"] for one in listed(tocsin)] == ["one", "two", "fire"] * 2
    assert json.loads(tocsin("filter", "export", jean).out) == exported * 2


def test_an_error_names_the_path_and_nothing_is_added(tocsin: Any, add: Any) -> None:
    wrong = document("wrong")
    wrong["when"]["all"].append({"field": "subject", "op": "resembles", "value": "x"})
    answer = add([document(), wrong])
    assert answer.code == 1
    assert "[1].when.all[1].op" in answer.err
    assert listed(tocsin) == []
    assert add(wrong).err.startswith("tocsin: when.all[1].op:")


def test_an_error_in_a_script_names_the_line(tocsin: Any, jean: str, tmp_path: Path) -> None:
    file = tmp_path / "night.sieve"
    file.write_text('require ["enotify"];\n\nif header :resembles "subject" "x" { stop; }\n')
    answer = tocsin("filter", "add", jean, "--sieve", str(file))
    assert answer.code == 1
    assert "line 3" in answer.err
    file.write_text(SCRIPT)
    assert tocsin("filter", "add", jean, "--sieve", str(file)).code == 0
    (one,) = listed(tocsin)
    assert (one["name"], one["kind"]) == ("night", "sieve")
    assert json.loads(tocsin("filter", "show", jean, "night", "--json").out)["sieve"] == SCRIPT
    assert tocsin("filter", "export", jean, "night", "--sieve").out == SCRIPT


@pytest.mark.parametrize("arguments", [[], ["--file", "a", "--sieve", "b"], ["--file", "a", "--name", "n"]])
def test_wrong_use_is_explained(tocsin: Any, jean: str, arguments: list[str]) -> None:
    assert tocsin("filter", "add", jean, *arguments).code == 2


def test_a_file_that_is_not_there_is_said(tocsin: Any, jean: str) -> None:
    answer = tocsin("filter", "add", jean, "--file", "nowhere.json")
    assert (answer.code, answer.err) == (1, "tocsin: nowhere.json cannot be read: no such file or directory\n")


def test_their_order_is_changed(tocsin: Any, add: Any, jean: str) -> None:
    add([document(name) for name in "abcd"])
    assert tocsin("filter", "order", jean, "d", "b").code == 0
    assert [one["name"] for one in listed(tocsin)] == ["d", "b", "a", "c"]
    tocsin("filter", "order", jean, "d", "--position", "3")
    assert [(one["order"], one["name"]) for one in listed(tocsin)] == [(1, "b"), (2, "a"), (3, "d"), (4, "c")]


def test_they_are_switched_and_taken_away(tocsin: Any, add: Any, jean: str) -> None:
    add([document(name) for name in "abc"])
    tocsin("filter", "disable", jean, "a", "b")
    assert [one["enabled"] for one in listed(tocsin)] == [False, False, True]
    tocsin("filter", "enable", jean, "b")
    tocsin("filter", "remove", jean, "a")
    assert [(one["name"], one["enabled"]) for one in listed(tocsin)] == [("b", True), ("c", True)]


def test_a_name_that_two_have_must_be_told_apart_by_id(tocsin: Any, add: Any, jean: str) -> None:
    add([document("same"), document("same")])
    answer = tocsin("filter", "remove", jean, "same")
    assert answer.code == 1
    assert all(one["id"] in answer.err for one in listed(tocsin))


def test_another_accounts_filter_is_not_found(tocsin: Any, add: Any) -> None:
    number = add(document()).out.strip()
    tocsin("account", "add", "marie")
    answer = tocsin("filter", "remove", "marie", number)
    assert (answer.code, "there is no filter" in answer.err) == (1, True)


def test_new_mail_and_quiet_hours_are_settings_of_the_account(tocsin: Any, jean: str) -> None:
    def told() -> tuple[Any, Any]:
        shown = json.loads(tocsin("account", "show", jean, "--json").out)
        return shown["notify_new_mail"], shown["quiet"]

    assert told() == (False, None)
    assert tocsin("account", "set", jean, "--notify-new-mail", "on", "--quiet", "22:00-7:00").code == 0
    assert told() == (True, "22:00-07:00")
    assert tocsin("account", "set", jean, "--quiet", "").code == 0
    assert told() == (True, None)
    answer = tocsin("account", "set", jean, "--quiet", "at night")
    assert (answer.code, "22:00-07:00" in answer.err) == (1, True)
    assert tocsin("account", "set", jean, "--notify-new-mail", "perhaps").code == 2
    assert tocsin("account", "add", "marie", "--notify-new-mail", "on").code == 0


def test_without_notices_there_is_nothing_to_list(tocsin: Any, jean: str) -> None:
    assert json.loads(tocsin("notice", "list", "--account", jean, "--json").out) == []
    assert tocsin("notice", "list").out == "no notices\n"
    answer = tocsin("notice", "show", "17")
    assert (answer.code, "there is no notice 17" in answer.err) == (1, True)


def test_filters_are_exported_as_one_script_that_can_be_added(tocsin: Any, add: Any, jean: str, tmp_path: Path) -> None:
    words = {"name": "words", "when": {"field": "subject", "op": "contains", "value": "fire"}}
    add([document(), {**words, "actions": [{"sms": ["+32475000009"], "text": "{from}: {subject}"}]}])
    answer = tocsin("filter", "export", jean, "--sieve")
    assert answer.code == 0, answer.err
    assert answer.out.count("require [") == 1
    again = tocsin("filter", "add", jean, "--sieve", "-", stdin=answer.out.encode())
    assert again.code == 0, again.err
    refused = tocsin("filter", "export", jean, "--sieve")
    assert (refused.code, "Sieve script already" in refused.err) == (1, True)


def test_what_sieve_cannot_say_is_refused_by_its_path(tocsin: Any, add: Any, jean: str) -> None:
    add(document(when={"all": [{"field": "credit_left", "op": ">", "value": 3}]}))
    answer = tocsin("filter", "export", jean, "boss", "--sieve")
    assert answer.code == 1
    assert "boss: when.all[0]" in answer.err
