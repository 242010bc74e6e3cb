"""`tocsin contact`, `group`, `list`, `optout`."""

from __future__ import annotations

from typing import Any

import pytest

CARDS = """\
BEGIN:VCARD
VERSION:3.0
FN:Jean Dupont
TEL;TYPE=cell:0475 12 34 56
EMAIL:jean@example.net
END:VCARD
BEGIN:VCARD
VERSION:4.0
TEL;VALUE=uri;TYPE=cell:tel:+32-475-00-00-01
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Zoé
TEL;VALUE=uri;TYPE="cell,voice":tel:+32-475-00-00-01
END:VCARD
"""


def did(answer: Any) -> Any:
    assert answer.code == 0, answer.err
    return answer


# Contacts -------------------------------------------------------------------------------------------------------------


def test_a_contact_is_listed_with_what_its_numbers_are_good_for(tocsin, jean) -> None:
    numbers = ("--number", "mobile:0475 12 34 56", "--number", "home:02 212 34 56")
    made = did(tocsin("contact", "add", jean, "Zoé Martin", *numbers, "--email", "Zoe@Example.NET", "--json")).json
    (shown,) = did(tocsin("contact", "list", jean, "--json")).json
    assert shown == made
    assert shown.pop("uid").startswith("urn:uuid:")
    advice = "+32 2 212 34 56 is a fixed line, and a fixed line cannot get an SMS: give a mobile number."
    assert shown == {
        "id": "1",
        "name": "Zoé Martin",
        "book": "private",
        "numbers": [
            {"kind": "mobile", "e164": "+32475123456", "written": "0475 12 34 56", "sms": True, "advice": None},
            {"kind": "home", "e164": "+3222123456", "written": "02 212 34 56", "sms": False, "advice": advice},
        ],
        "emails": ["Zoe@example.net"],
    }
    assert advice in did(tocsin("contact", "list", jean)).out
    assert did(tocsin("contact", "show", jean, "zoe.martin", "--json")).json["id"] == "1"


def test_who_adds_a_contact_without_a_mobile_is_told_what_to_change(tocsin, jean) -> None:
    answer = did(tocsin("contact", "add", jean, "Fixed", "--number", "home:022123456"))
    assert answer.err == (
        "tocsin: note: +32 2 212 34 56 is a fixed line, and a fixed line cannot get an SMS: give a mobile number.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--number", "mobile:0475 12"], "too short"),
        (["--number", "pager:0475123456"], "'pager' is no kind of number"),
        (["--email", "zoe"], "'zoe' is no e-mail address: write it as name@example.org"),
        (["--book", "team"], "there is no group team"),
    ],
)
def test_a_contact_that_cannot_be_is_refused_in_one_sentence(tocsin, jean, arguments, why) -> None:
    answer = tocsin("contact", "add", jean, "Zoé", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.err
    assert did(tocsin("contact", "list", jean, "--json")).json == []


def test_a_contact_is_changed_and_removed_by_name_or_id(tocsin, jean) -> None:
    did(tocsin("contact", "add", jean, "Zoé", "--number", "0475123456", "--email", "z@example.net"))
    did(tocsin("contact", "set", jean, "zoe", "--name", "Zoé M.", "--number", "work:+32475000001"))
    (shown,) = tocsin("contact", "list", jean, "--json").json
    assert (shown["name"], [one["e164"] for one in shown["numbers"]]) == ("Zoé M.", ["+32475000001"])
    assert shown["emails"] == ["z@example.net"]
    did(tocsin("contact", "set", jean, shown["id"], "--email", ""))
    assert tocsin("contact", "list", jean, "--json").json[0]["emails"] == []
    assert tocsin("contact", "set", jean, "zoe m").code == 2
    did(tocsin("contact", "remove", jean, "zoe m"))
    gone = tocsin("contact", "remove", jean, "zoe m")
    assert (gone.code, gone.err) == (1, "tocsin: there is no contact zoe m\n")


def test_cards_come_in_and_go_out(tocsin, jean, tmp_path) -> None:
    (tmp_path / "in.vcf").write_text(CARDS)
    answer = tocsin("contact", "import", jean, str(tmp_path / "in.vcf"))
    assert (answer.code, answer.out) == (1, "2 added, 0 changed, 0 as they were.\n")
    assert "tocsin: line 7: the card has no name: FN is missing\n" in answer.err
    out = did(tocsin("contact", "export", jean)).out
    assert out.count("BEGIN:VCARD\r\nVERSION:4.0\r\n") == 2
    assert "TEL;TYPE=cell;VALUE=uri:tel:+32475123456" in out
    again = did(tocsin("contact", "import", jean, "-", "--json", stdin=out.encode())).json
    assert again == {"added": 0, "changed": 0, "unchanged": 2, "refused": [], "notes": []}
    did(tocsin("contact", "export", jean, str(tmp_path / "out.vcf"), "--vcard", "3.0"))
    assert (tmp_path / "out.vcf").read_text().count("VERSION:3.0") == 2
    assert tocsin("contact", "export", jean, "--vcard", "5.0").code == 2
    assert "cannot be read" in tocsin("contact", "import", jean, str(tmp_path / "none.vcf")).err


# Groups ---------------------------------------------------------------------------------------------------------------


def test_a_groups_book_is_read_by_its_members(tocsin, jean) -> None:
    did(tocsin("account", "add", "bob"))
    did(tocsin("group", "add", "Team", jean, "bob"))
    did(tocsin("contact", "add", jean, "Zoé", "--number", "0475123456", "--book", "team"))
    assert [one["book"] for one in did(tocsin("contact", "list", "bob", "--json")).json] == ["Team"]
    assert did(tocsin("contact", "list", "bob", "--book", "private", "--json")).json == []
    (team,) = did(tocsin("group", "list", "--json")).json
    assert (team["name"], team["members"]) == ("Team", ["bob", "jean"])
    assert did(tocsin("group", "show", "team", "--json")).json["members"] == ["bob", "jean"]
    did(tocsin("group", "set", "team", "--name", "Crew"))
    did(tocsin("group", "remove", "crew", "bob"))
    assert did(tocsin("contact", "list", "bob", "--json")).json == []
    did(tocsin("group", "remove", "crew"))
    assert tocsin("group", "show", "crew").err == "tocsin: there is no group crew: tocsin group list shows them\n"


# Lists ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def family(tocsin, jean) -> str:
    did(tocsin("contact", "add", jean, "Zoé", "--number", "0475123456", "--email", "z@example.net"))
    did(tocsin("contact", "add", jean, "Fixed", "--number", "home:022123456"))
    did(tocsin("list", "add", jean, "family", "zoe", "Fixed", "0475000001", "a@example.net"))
    return "family"


def test_a_list_is_shown_member_by_member(tocsin, jean, family) -> None:
    did(tocsin("list", "add", jean, "all", "list:family"))
    (everybody, shown) = did(tocsin("list", "list", jean, "--json")).json
    assert [(one["name"], one["members"]) for one in (everybody, shown)] == [("all", 1), ("family", 4)]
    told = did(tocsin("list", "show", jean, "FAMILY", "--json")).json
    assert [(one["kind"], one["name"], one["sms"], one["email"]) for one in told["members"]] == [
        ("contact", "Zoé", "+32475123456", "z@example.net"),
        ("contact", "Fixed", None, None),
        ("number", "+32475000001", "+32475000001", None),
        ("address", "a@example.net", None, "a@example.net"),
    ]
    assert "is a fixed line" in told["members"][1]["advice"]
    assert "list" in did(tocsin("list", "show", jean, "all")).out


def test_members_come_from_stdin_and_files_too(tocsin, jean, tmp_path) -> None:
    (tmp_path / "more").write_text("# those of the night\n+32475000002\n\n0475 00 00 03\n")
    did(tocsin("list", "add", jean, "night", "-", "--file", str(tmp_path / "more"), stdin=b"0475000001\n"))
    shown = did(tocsin("list", "show", jean, "night", "--json")).json["members"]
    assert [one["name"] for one in shown] == ["+32475000001", "+32475000002", "+32475000003"]
    did(tocsin("list", "set", jean, "night", "0475000009", "--name", "day"))
    did(tocsin("list", "add", jean, "day", "0475000008"))
    did(tocsin("list", "remove", jean, "day", "0475000009"))
    assert [one["name"] for one in tocsin("list", "show", jean, "day", "--json").json["members"]] == ["+32475000008"]
    did(tocsin("list", "remove", jean, "day"))
    assert did(tocsin("list", "list", jean, "--json")).json == []


def test_a_list_within_itself_is_refused(tocsin, jean, family) -> None:
    did(tocsin("list", "add", jean, "all", "family"))
    answer = tocsin("list", "add", jean, "family", "list:all")
    assert (answer.code, answer.err) == (1, "tocsin: a list cannot contain itself: family > all > family\n")


# Sending --------------------------------------------------------------------------------------------------------------


def test_one_message_goes_to_contacts_and_lists_once_and_names_who_is_left_out(tocsin, jean, family) -> None:
    answer = did(tocsin("send", "--account", jean, "--sms", "Zoé", "--list", "family", "--text", "x"))
    shown = did(tocsin("message", "show", answer.out.strip(), "--json")).json
    assert [(one["channel"], one["to"]) for one in shown["deliveries"]] == [
        ("sms", "+32475123456"),
        ("sms", "+32475000001"),
    ]
    # This configuration has no route for e-mail.
    assert "Fixed (list family) was left out: Fixed has no number that can get an SMS" in answer.err
    assert "a@example.net (list family) was left out: no route here carries email" in answer.err
    assert sum("was left out" in one["detail"] for one in shown["timeline"]) == 2


def test_a_dry_run_names_everybody(tocsin, jean, family) -> None:
    told = did(tocsin("send", "--account", jean, "--list", "family", "--text", "x", "--dry-run")).json
    assert [(one["to"], one["list"], one["units"]) for one in told["deliveries"]] == [
        ("+32475123456", "family", 1),
        ("+32475000001", "family", 1),
    ]
    assert [one["to"] for one in told["left_out"]] == ["Fixed", "a@example.net"]
    assert (told["units"], told["refused"], told["why"]) == (2, [], None)
    assert did(tocsin("message", "list", "--json")).json == []


def test_a_key_stands_for_the_list_and_not_for_who_is_on_it(tocsin, jean, family) -> None:
    arguments = ("send", "--account", jean, "--list", "family", "--text", "x", "--key", "k")
    first = did(tocsin(*arguments)).out
    did(tocsin("list", "add", jean, "family", "0475000009"))
    assert did(tocsin(*arguments)).out == first
    did(tocsin("list", "remove", jean, "family"))
    assert did(tocsin(*arguments)).out == first
    assert tocsin(*arguments[:-2], "--text", "y", "--key", "k").err.endswith("for another message\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--sms", "Zoe Marten"], "there is no contact Zoe Marten"),
        (["--list", "famly"], "there is no list famly; did you mean family?"),
        (["--sms", "family"], "family is a list: write list:family, or --list family"),
        (["--sms", "Fixed"], "Fixed has no number that can get an SMS"),
        (["--email", "zoe"], "no route here carries email"),
        (["--sms", "zoe", "--sms", "0475"], "0475 is"),
    ],
)
def test_who_cannot_be_reached_stops_the_message(tocsin, jean, family, arguments, why) -> None:
    answer = tocsin("send", "--account", jean, *arguments, "--text", "x")
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.err
    assert tocsin("credit", "show", jean, "--json").json["left"] == 30


# Opt-outs -------------------------------------------------------------------------------------------------------------


def test_who_opted_out_gets_nothing_until_he_is_taken_off(tocsin, jean, family) -> None:
    did(tocsin("optout", "add", "+32475123456", "--reason", "asked by phone"))
    did(tocsin("optout", "add", "0475 00 00 01", "A@example.net", "--account", jean))
    answer = tocsin("send", "--account", jean, "--sms", "zoe", "--text", "x")
    assert (answer.code, answer.err) == (
        1,
        "tocsin: +32475123456 has opted out of all messages: leave it out, or ask the operator\n",
    )
    assert tocsin("send", "--account", jean, "--list", "family", "--text", "x").code == 1
    told = did(tocsin("optout", "list", "--json")).json
    assert {(one["address"], one["account"], one["reason"]) for one in told} == {
        ("+32475123456", None, "asked by phone"),
        ("+32475000001", jean, ""),
        ("a@example.net", jean, ""),
    }
    did(tocsin("optout", "remove", "+32475123456"))
    did(tocsin("send", "--account", jean, "--sms", "zoe", "--text", "x"))
    assert tocsin("optout", "remove", "+32475123456").code == 1


def test_an_account_that_is_removed_takes_its_books_along(tocsin, jean, family) -> None:
    did(tocsin("optout", "add", "0475000001", "--account", jean))
    did(tocsin("account", "remove", jean))
    assert did(tocsin("optout", "list", "--json")).json == []
    did(tocsin("account", "add", jean))
    assert did(tocsin("contact", "list", jean, "--json")).json == []
