"""`tocsin message`: what the rows tell, printed for people and for programs."""

from __future__ import annotations

import pytest

SMS = "+32475123456"


@pytest.fixture
def sent(tocsin, jean) -> list[str]:
    """Three messages; the second with two recipients."""
    return [
        tocsin(
            "send", "--account", jean, *(argument for to in numbers for argument in ("--sms", to)), "--text", "Hi"
        ).out.strip()
        for numbers in ([SMS], [SMS, "+33612345678"], [SMS])
    ]


def test_a_list_has_the_agreed_form_newest_first(tocsin, sent) -> None:
    listed = tocsin("message", "list", "--json").json
    assert [one["id"] for one in listed] == sent[::-1]
    for one in listed:
        assert set(one) >= {"id", "account", "origin", "state", "created", "deliveries"}
        assert (one["account"], one["origin"], one["state"]) == ("jean", "cli", "queued")
        for delivery in one["deliveries"]:
            assert set(delivery) >= {"id", "to", "channel", "state"}
    assert [delivery["to"] for delivery in listed[1]["deliveries"]] == [SMS, "+33612345678"]


def test_a_list_without_messages_is_an_empty_document(tocsin, jean) -> None:
    assert tocsin("message", "list", "--json").out == "[]\n"
    assert tocsin("message", "list", "--incoming", "--json").json == []
    assert tocsin("message", "list").out == "no messages\n"


def test_people_see_a_line_for_each_delivery(tocsin, sent) -> None:
    lines = tocsin("message", "list").out.splitlines()
    assert lines[0].split() == ["id", "created", "account", "origin", "to", "state"]
    assert [line.split()[0] for line in lines[1:]] == [sent[2], sent[1], sent[1], sent[0]]
    assert [line.split()[-2:] for line in lines[1:3]] == [[SMS, "queued"], [SMS, "queued"]]


def test_a_list_is_narrowed(tocsin, sent) -> None:
    assert tocsin("queue", "cancel", sent[0]).code == 0
    assert [one["id"] for one in tocsin("message", "list", "--state", "cancelled", "--json").json] == [sent[0]]
    assert len(tocsin("message", "list", "--account", "jean", "--since", "2000-01-01", "--json").json) == 3
    created = tocsin("message", "show", sent[1], "--json").json["created"]
    assert [one["id"] for one in tocsin("message", "list", "--since", created, "--json").json] == [sent[2], sent[1]]
    assert tocsin("message", "list", "--since", "2099-01-01T00:00Z", "--json").json == []


@pytest.mark.parametrize(
    "arguments", [["--state", "lost"], ["--incoming", "--account", "jean"], ["--incoming", "--state", "queued"]]
)
def test_a_list_of_what_cannot_be_is_wrong_use(tocsin, jean, arguments) -> None:
    assert tocsin("message", "list", *arguments).code == 2


def test_a_time_that_is_none_is_refused(tocsin, jean) -> None:
    answer = tocsin("message", "list", "--since", "yesterday")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("tocsin: 'yesterday' is no time")


def test_one_message_has_the_agreed_form(tocsin, sent) -> None:
    shown = tocsin("message", "show", sent[1], "--json").json
    assert [one["what"] for one in shown["timeline"]] == ["received", "queued", "queued"]
    assert all(set(one) == {"at", "what", "detail"} for one in shown["timeline"])
    for delivery in shown["deliveries"]:
        (segment,) = delivery["segments"]
        assert set(segment) >= {"n", "state", "route", "units", "attempts"}
        assert (segment["n"], segment["attempts"]) == (1, [])


def test_people_see_the_text_the_parts_and_the_timeline(tocsin, sent) -> None:
    shown = tocsin("message", "show", sent[1]).out
    assert f"Message {sent[1]} of jean: queued" in shown
    assert "text: Hi" in shown
    assert "+33612345678" in shown
    assert "from the command line, for 2 recipients" in shown


def test_what_others_wrote_does_not_drive_the_terminal(tocsin, jean) -> None:
    message = tocsin("send", "--account", jean, "--sms", SMS, "--text", "a\x1b[2Jb\u202ec").out.strip()
    shown = tocsin("message", "show", message).out
    assert "a\\x1b[2Jb\\u202ec" in shown
    assert "\x1b" not in shown
    assert tocsin("message", "show", message, "--json").json["text"] == "a\x1b[2Jb\u202ec"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("7", "there is no message 7: tocsin message list shows them"),
        ("abc", "'abc' is no id of a message or a segment"),
        ("9" * 30, "is no id"),
        ("-1", "No such option"),
    ],
)
def test_an_id_that_is_none_is_refused(tocsin, jean, number, said) -> None:
    answer = tocsin("message", "show", number, "--json")
    assert answer.code in (1, 2)
    assert answer.out == ""
    assert said in answer.err
