"""`tocsin queue`: the operator's hand, from the shell."""

from __future__ import annotations

import pytest

SMS, FRANCE = "+32475123456", "+33612345678"


@pytest.fixture
def send(tocsin, jean):
    def run(*numbers: str, text: str = "x", at: str | None = None) -> str:
        to = [argument for number in numbers for argument in ("--sms", number)]
        later = ["--at", at] if at else []
        answer = tocsin("send", "--account", jean, *to, "--text", text, *later)
        assert answer.code == 0, answer.err
        return answer.out.strip()

    return run


def states(tocsin, message: str) -> list[str]:
    shown = tocsin("message", "show", message, "--json").json
    return [segment["state"] for delivery in shown["deliveries"] for segment in delivery["segments"]]


def test_what_waits_is_listed_with_what_can_be_done_about_it(tocsin, send) -> None:
    message = send(SMS, FRANCE, text="x" * 200)
    listed = tocsin("queue", "show", "--json").json
    assert [(one["to"], one["n"], one["of"], one["route"], one["state"]) for one in listed] == [
        (SMS, 1, 2, "operator", "queued"),
        (SMS, 2, 2, "operator", "queued"),
        (FRANCE, 1, 2, "france", "queued"),
        (FRANCE, 2, 2, "france", "queued"),
    ]
    assert {one["message"] for one in listed} == {message}
    assert len(tocsin("queue", "show", "--route", "france", "--json").json) == 2
    assert tocsin("queue", "show", "--state", "held", "--json").json == []
    assert tocsin("queue", "show", "--state", "accepted").code == 2


def test_a_route_is_held_released_and_listed(tocsin, send) -> None:
    before = send(SMS)
    assert tocsin("queue", "hold", "--route", "operator").out == "1 segment held.\n"
    meanwhile = send(SMS, FRANCE)
    assert (states(tocsin, before), states(tocsin, meanwhile)) == (["held"], ["held", "queued"])
    (held,) = tocsin("queue", "holds", "--json").json
    assert (held["kind"], held["name"]) == ("route", "operator")
    assert "What comes for route operator is held" in tocsin("queue", "show").out
    assert tocsin("queue", "release", "--route", "operator").out == "2 segments released.\n"
    assert tocsin("queue", "holds", "--json").json == []
    assert states(tocsin, send(SMS)) == ["queued"]


def test_a_hold_on_what_has_nothing_waiting_stands_all_the_same(tocsin, send) -> None:
    assert tocsin("queue", "hold", "--account", "jean").out == "0 segments held.\n"
    assert states(tocsin, send(SMS)) == ["held"]
    assert tocsin("queue", "release", "--account", "jean").out == "1 segment released.\n"


def test_messages_and_segments_are_named_by_their_ids(tocsin, send) -> None:
    first, second = send(SMS), send(SMS)
    segment = tocsin("queue", "show", "--json").json[1]["id"]
    assert tocsin("queue", "hold", first, segment).out == "2 segments held.\n"
    assert tocsin("queue", "cancel", segment).out == "1 segment cancelled.\n"
    assert (states(tocsin, first), states(tocsin, second)) == (["held"], ["cancelled"])


def test_cancelling_returns_the_credit(tocsin, send) -> None:
    message = send(SMS, FRANCE)
    assert tocsin("credit", "show", "jean", "--json").json["left"] == 26
    assert tocsin("queue", "cancel", message).code == 0
    assert tocsin("credit", "show", "jean", "--json").json["left"] == 30
    shown = tocsin("message", "show", message, "--json").json
    assert shown["state"] == "cancelled"
    assert [one["what"] for one in shown["timeline"]][-4:] == ["cancelled", "cancelled", "returned", "returned"]


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (["release"], "nothing of this is held"),
        (["retry"], "nothing of this is waiting for a later attempt"),
        (["resolve", "--as", "failed"], "nothing of this is unknown"),
    ],
)
def test_a_verb_that_finds_nothing_to_do_fails_with_a_sentence(tocsin, send, verb, said) -> None:
    answer = tocsin("queue", *verb, send(SMS))
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err


@pytest.mark.parametrize("verb", ["hold", "release", "retry", "cancel"])
@pytest.mark.parametrize("arguments", [[], ["1", "--route", "operator"], ["--route", "operator", "--account", "jean"]])
def test_exactly_one_way_of_naming_is_right(tocsin, jean, verb, arguments) -> None:
    assert tocsin("queue", verb, *arguments).code == 2


def test_what_does_not_exist_is_named(tocsin, send) -> None:
    assert "there is no route nowhere" in tocsin("queue", "hold", "--route", "nowhere").err
    assert "there is no message or segment 7" in tocsin("queue", "hold", send(SMS), "7").err
    assert tocsin("queue", "resolve", "7", "--as", "maybe").code == 2


def test_segments_of_a_route_that_left_the_configuration_can_be_cancelled(tocsin, send, configuration) -> None:
    message = send(FRANCE)
    text = configuration.read_text()
    configuration.write_text(text.replace('name = "france"', 'name = "elsewhere"'))
    assert tocsin("queue", "cancel", "--route", "france").out == "1 segment cancelled.\n"
    assert states(tocsin, message) == ["cancelled"]


def test_a_long_list_is_held_and_cancelled_before_it_is_expanded(tocsin, jean) -> None:
    tocsin("credit", "add", jean, "2000", "--reason", "test")
    numbers = [argument for n in range(1100) for argument in ("--sms", f"+32475{n:06}")]
    message = tocsin("send", "--account", jean, *numbers, "--text", "x").out.strip()
    assert f"Message {message}: 1100 recipients are not in the queue yet." in tocsin("queue", "show").out
    assert "1100 recipients, not in the queue yet" in tocsin("message", "list").out
    assert tocsin("queue", "hold", message).out == "0 segments held.\n"
    assert tocsin("queue", "holds", "--json").json[0]["name"] == message
    cancelled = tocsin("queue", "cancel", message)
    assert cancelled.out == "1100 recipients that were not in the queue yet are cancelled.\n0 segments cancelled.\n"
    assert tocsin("credit", "show", jean, "--json").json["left"] == 2030
    assert tocsin("message", "show", message, "--json").json["state"] == "cancelled"
