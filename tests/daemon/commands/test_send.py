"""`tocsin send`."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

SMS = "+32475123456"


@pytest.fixture
def send(tocsin, jean):
    def run(*arguments: str, stdin: bytes = b""):
        return tocsin("send", "--account", jean, *arguments, stdin=stdin)

    return run


def left(tocsin) -> int:
    return tocsin("credit", "show", "jean", "--json").json["left"]


def test_the_id_is_printed_and_leads_to_the_message(tocsin, send) -> None:
    answer = send("--sms", "0475123456", "--sms", "+33 6 12 34 56 78", "--text", "Hello")
    assert (answer.code, answer.err) == (0, "")
    shown = tocsin("message", "show", answer.out.strip(), "--json").json
    assert (shown["account"], shown["origin"], shown["state"], shown["text"]) == ("jean", "cli", "queued", "Hello")
    to = {one["to"]: one for one in shown["deliveries"]}
    assert {number: one["segments"][0]["route"] for number, one in to.items()} == {
        SMS: "operator",
        "+33612345678": "france",
    }
    assert {number: one["segments"][0]["units"] for number, one in to.items()} == {SMS: 1, "+33612345678": 3}
    assert left(tocsin) == 26


def test_a_recipient_named_twice_is_one(tocsin, send) -> None:
    answer = send("--sms", "0475123456", "--sms", SMS, "--text", "x", "--json").json
    assert [one["to"] for one in answer["deliveries"]] == [SMS]
    assert left(tocsin) == 29


def test_the_text_may_come_from_stdin_and_loses_its_last_line_break(tocsin, send) -> None:
    answer = send("--sms", SMS, "--text", "-", stdin="Été\n\n".encode())
    assert tocsin("message", "show", answer.out.strip(), "--json").json["text"] == "Été\n"


def test_what_is_no_text_is_refused(send) -> None:
    assert send("--sms", SMS, "--text", "-", stdin=b"\xff").err == (
        "tocsin: the text on stdin is not UTF-8: octet 0 is wrong\n"
    )
    assert send("--sms", SMS).code == 1


def test_the_signature_ends_the_text_but_is_none_itself(tocsin, send) -> None:
    tocsin("account", "set", "jean", "--signature", "Jean")
    answer = send("--sms", SMS, "--text", "Hello")
    assert tocsin("message", "show", answer.out.strip(), "--json").json["text"] == "Hello\nJean"
    assert send("--sms", SMS, "--text", "").code == 1


def test_the_subject_is_said_where_there_is_no_text(tocsin, send) -> None:
    answer = send("--sms", SMS, "--subject", "Fire")
    assert tocsin("message", "show", answer.out.strip(), "--json").json["text"] == "Fire"


def test_a_later_time_is_in_the_accounts_zone(tocsin, send) -> None:
    answer = send("--sms", SMS, "--text", "x", "--at", "2099-07-01T10:00")
    shown = tocsin("message", "show", answer.out.strip(), "--json").json
    assert shown["at"] == "2099-07-01T08:00:00.000Z"
    assert shown["deliveries"][0]["segments"][0]["due"] == "2099-07-01T08:00:00.000Z"
    assert shown["expires"] == "2099-07-02T08:00:00.000Z"


def test_what_is_due_after_the_period_draws_on_the_provision_only(send) -> None:
    numbers = [argument for n in range(11) for argument in ("--sms", f"+324751234{n:02}")]
    refused = send(*numbers, "--text", "x", "--at", "2099-07-01T10:00")
    assert (refused.code, refused.err) == (
        1,
        "tocsin: not enough credit: 11 units needed, 10 left "
        "(it is due after this period's end, so the 20 units of its allotment do not count)\n",
    )
    assert send(*numbers, "--text", "x").code == 0


def test_the_validity_is_the_senders_choice(tocsin, send) -> None:
    before = datetime.now(UTC)
    answer = send("--sms", SMS, "--text", "x", "--validity", "PT2H")
    shown = tocsin("message", "show", answer.out.strip(), "--json").json
    expires = datetime.fromisoformat(shown["expires"])
    assert before + timedelta(hours=2, seconds=-1) < expires < before + timedelta(hours=2, minutes=1)


@pytest.mark.parametrize("validity", ["2h", "P1M", "PT0S", "P2Y"])
def test_a_validity_that_is_none_is_wrong_use(send, validity) -> None:
    answer = send("--sms", SMS, "--text", "x", "--validity", validity)
    assert answer.code == 2
    assert validity in answer.err


def test_a_time_that_the_clocks_skip_is_refused(send) -> None:
    assert send("--sms", SMS, "--text", "x", "--at", "2027-03-28T02:30").err == (
        "tocsin: 2027-03-28T02:30 does not exist in Europe/Brussels: the clocks are put forward over it\n"
    )


def test_the_same_key_sends_once(tocsin, send) -> None:
    first = send("--sms", SMS, "--text", "x", "--key", "backup 7")
    again = send("--sms", SMS, "--text", "x", "--key", "backup 7")
    assert (again.code, again.out) == (0, first.out)
    assert left(tocsin) == 29
    assert send("--sms", SMS, "--text", "x", "--key", "backup 8").out != first.out


def test_keys_of_the_command_line_are_apart_from_all_others(send, configuration) -> None:
    send("--sms", SMS, "--text", "x", "--key", "k")
    with contextlib.closing(sqlite3.connect(configuration.parent / "tocsin.db")) as database:
        assert database.execute("SELECT key FROM seen").fetchall() == [(hashlib.sha256(b"cli:k").digest(),)]


@pytest.mark.parametrize(
    "other",
    [
        ["--sms", SMS, "--text", "y"],
        ["--sms", "+32475123457", "--text", "x"],
        ["--sms", SMS, "--sms", "+32475123457", "--text", "x"],
        ["--sms", SMS, "--text", "x", "--urgent"],
        ["--sms", SMS, "--text", "x", "--validity", "PT1H"],
    ],
)
def test_the_same_key_for_something_else_is_refused(tocsin, send, other) -> None:
    send("--sms", SMS, "--text", "x", "--key", "k")
    answer = send(*other, "--key", "k")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "tocsin: this key was used before, for another message\n"
    assert left(tocsin) == 29


def test_every_recipient_that_cannot_be_is_named_and_nothing_is_sent(tocsin, send) -> None:
    answer = send("--sms", "+12125551234", "--sms", "04751", "--sms", SMS, "--text", "x")
    assert answer.code == 1
    assert "no route takes +12125551234" in answer.err
    assert "04751 is too short" in answer.err
    assert tocsin("message", "list", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--email", "a@example.org"], "no route here carries email"),
        (["--fax", "+3222123456"], "no route here carries fax"),
        (["--sms", SMS, "--list", "family"], "family"),
        (["--sms", SMS, "--attach", "plan.pdf"], "plan.pdf"),
    ],
)
def test_what_this_version_cannot_send_is_refused_with_a_sentence(send, arguments, said) -> None:
    answer = send(*arguments, "--text", "x")
    assert answer.code == 1
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_no_recipient_is_wrong_use(send) -> None:
    assert send("--text", "x").code == 2


def test_more_parts_than_allowed_are_refused(send) -> None:
    assert send("--sms", SMS, "--text", "x" * 1000).err == (
        "tocsin: the text needs 7 SMS, this account allows 6: make it shorter\n"
    )


def test_without_credit_nothing_is_sent(tocsin, send) -> None:
    numbers = [argument for n in range(31) for argument in ("--sms", f"+324751234{n:02}")]
    answer = send(*numbers, "--text", "x")
    assert (answer.code, answer.err) == (1, "tocsin: not enough credit: 31 units needed, 30 left\n")
    assert left(tocsin) == 30


def test_a_dry_run_tells_everything_and_stores_nothing(tocsin, send) -> None:
    answer = send("--sms", SMS, "--sms", "+33612345678", "--text", "x" * 200, "--dry-run")
    assert answer.code == 0
    told = answer.json
    assert [(one["to"], one["route"], one["segments"], one["units"]) for one in told["deliveries"]] == [
        (SMS, "operator", 2, 2),
        ("+33612345678", "france", 2, 6),
    ]
    assert (told["account"], told["units"], told["left"], told["refused"], told["why"]) == ("jean", 8, 30, [], None)
    assert [part["length"] for part in told["texts"]["operator"]["segments"]] == [153, 47]
    assert tocsin("message", "list", "--json").json == []
    assert left(tocsin) == 30


def test_a_dry_run_says_what_would_be_refused_and_why(send) -> None:
    answer = send("--sms", "+12125551234", "--sms", "abc", "--sms", SMS, "--text", "x", "--dry-run")
    assert answer.code == 1
    assert {one["to"] for one in answer.json["refused"]} == {"+12125551234", "abc"}
    assert all(one["why"] for one in answer.json["refused"])
    assert [one["to"] for one in answer.json["deliveries"]] == [SMS]
    numbers = [argument for n in range(31) for argument in ("--sms", f"+324751234{n:02}")]
    poor = send(*numbers, "--text", "x", "--dry-run")
    assert (poor.code, poor.json["why"]) == (1, "not enough credit: 31 units needed, 30 left")


def test_json_tells_what_was_taken(send) -> None:
    told = send("--sms", SMS, "--text", "x" * 161, "--json").json
    assert (told["units"], told["seen"]) == (2, False)
    assert [(one["to"], one["channel"], one["segments"]) for one in told["deliveries"]] == [(SMS, "sms", 2)]
    assert all(isinstance(one["id"], str) for one in [told, *told["deliveries"]])
