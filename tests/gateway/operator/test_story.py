"""A message told from its rows: its documents, and its timeline."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from gateway import story, timeline, unknown
from gateway.failure import RefusedError
from gateway.message import State
from gateway.store import schema
from gateway.story import Wanted
from gateway.transports.base import ReceiptState, Result

A, B, FRANCE = "+32475000001", "+32475000002", "+33612345678"


def show(scene, message: int) -> dict[str, Any]:
    return scene.store.read_now(lambda c: story.show(c, message))


def lines(scene, message: int) -> list[tuple[str, str]]:
    return [(moment["what"], moment["detail"]) for moment in show(scene, message)["timeline"]]


def words(scene, message: int) -> list[str]:
    return [what for what, _ in lines(scene, message)]


def listed(scene, wanted: Wanted = Wanted(), **more: Any) -> list[dict[str, Any]]:  # noqa: B008
    found, before = [], None
    while True:
        page = scene.store.read_now(functools.partial(story.page, wanted=wanted, before=before, **more))
        found += page.documents
        before = page.before
        if before is None:
            return found


def test_a_message_that_arrives_is_told_from_end_to_end(scene) -> None:
    message = scene.send(A)
    (segment,) = scene.claim()
    scene.settle([segment], Result.ACCEPTED)
    scene.later(seconds=5)
    scene.receive(segment, ReceiptState.DELIVERED)
    told = show(scene, message)
    assert [(one["at"][11:], one["what"], one["detail"]) for one in told["timeline"]] == [
        ("12:00:00.000Z", "received", "from the command line, for 1 recipient"),
        ("12:00:00.000Z", "queued", "1 segment on operator"),
        ("12:00:00.000Z", "submitted", "over operator"),
        ("12:00:01.000Z", "accepted", f"operator has it, its id there is id{segment.id}"),
        ("12:00:01.000Z", "charged", "1 charged: the SMS centre has it (provision)"),
        ("12:00:06.000Z", "delivered", "the operator says delivered"),
    ]
    (delivery,) = told.pop("deliveries")
    del told["timeline"]
    assert told == {
        "id": str(message),
        "account": "jean",
        "origin": "cli",
        "state": "delivered",
        "created": "2026-11-23T12:00:00.000Z",
        "recipients": 1,
        "subject": "",
        "text": "Hello",
        "attachments": [],
        "at": None,
        "expires": "2026-11-24T12:00:00.000Z",
        "urgent": False,
    }
    assert (delivery["to"], delivery["channel"], delivery["state"]) == (A, "sms", "delivered")
    (part,) = delivery["segments"]
    assert (part["n"], part["state"], part["route"], part["units"]) == (1, "delivered", "operator", 1)
    assert part["attempts"] == [
        {"at": "2026-11-23T12:00:00.000Z", "route": "operator", "result": "accepted", "code": "", "detail": ""}
    ]


def test_a_transient_failure_says_when_it_is_tried_again(scene) -> None:
    message = scene.send(A)
    scene.settle(scene.claim(), Result.TRANSIENT, code="0x00000045", text="try later")
    assert lines(scene, message)[2:] == [
        ("submitted", "over operator"),
        ("retried", "0x00000045 try later, again at 12:00:06 UTC"),
    ]
    scene.later(seconds=10)
    scene.promote()
    scene.settle(scene.claim(), Result.ACCEPTED)
    assert words(scene, message)[2:] == ["submitted", "retried", "submitted", "accepted", "charged"]


def test_a_permanent_failure_is_told_once_and_its_units_return(scene) -> None:
    message = scene.send(A)
    scene.settle(scene.claim(), Result.PERMANENT, code="0x0000000b", text="no such number")
    assert lines(scene, message)[2:] == [
        ("submitted", "over operator"),
        ("failed", "no such number"),
        ("returned", "1 unit to the provision: no such number"),
    ]
    assert show(scene, message)["state"] == "failed"


def test_a_transient_failure_at_the_end_of_the_validity_is_a_failure_and_no_retry(scene) -> None:
    message = scene.send(A, validity=timedelta(seconds=3))
    scene.settle(scene.claim(), Result.TRANSIENT, code="0x00000045")
    assert words(scene, message)[2:] == ["submitted", "failed", "returned"]


def test_a_lost_answer_and_what_the_operator_says_of_it(scene) -> None:
    message = scene.send(A)
    scene.settle(scene.claim(), Result.UNKNOWN, text="the connection was lost")
    scene.later(minutes=1)
    scene.store.run_now(lambda c: unknown.resolve(c, scene.segments(message), "accepted", scene.now))
    assert lines(scene, message)[2:] == [
        ("submitted", "over operator"),
        ("unknown", "the connection was lost"),
        ("accepted", "resolved by the operator"),
        ("charged", "1 charged: the SMS centre has it (provision)"),
    ]


def test_an_answer_that_comes_late_is_told(scene) -> None:
    message = scene.send(A)
    segments = scene.claim()
    scene.settle(segments, Result.UNKNOWN, text="no answer in time")
    scene.settle(segments, Result.ACCEPTED)
    assert lines(scene, message)[3:5] == [("unknown", "no answer in time"), ("accepted", "its answer came late")]
    assert show(scene, message)["state"] == "accepted"


def test_parts_and_recipients_are_told_apart(scene) -> None:
    message = scene.send(A, FRANCE, text="x" * 200)
    scene.settle(scene.claim(), Result.ACCEPTED)
    told = lines(scene, message)
    assert ("queued", "2 segments on operator") in told
    assert ("queued", "2 segments on france") in told
    assert [detail for what, detail in told if what == "submitted"] == [
        f"{A}, part 1 of 2: over operator",
        f"{A}, part 2 of 2: over operator",
    ]
    (charged,) = [detail for what, detail in told if what == "charged"]
    assert charged == "2 charged: 2 parts accepted (provision)"


def test_receipts_that_end_nothing_are_not_told_and_later_ones_change_nothing(scene) -> None:
    message = scene.send(A)
    (segment,) = scene.claim()
    scene.settle([segment], Result.ACCEPTED)
    for state, error in (
        (ReceiptState.ENROUTE, "000"),
        (ReceiptState.EXPIRED, "027"),
        (ReceiptState.DELIVERED, "000"),
    ):
        scene.later(seconds=1)
        scene.receive(segment, state, error)
    assert lines(scene, message)[5:] == [
        ("undelivered", "the operator says expired, error 027"),
        ("delivered", "the operator says delivered, after a final receipt: it changes nothing"),
    ]
    assert show(scene, message)["state"] == "undelivered"


def test_what_leaves_later_says_so(scene) -> None:
    message = scene.send(A, at=scene.now + timedelta(days=1))
    assert lines(scene, message)[1] == ("queued", "1 segment on operator, to leave at 2026-11-24 12:00 UTC")


def test_a_list_that_is_being_expanded_is_queued(scene, many) -> None:
    message = scene.send(*many(1100))
    told = show(scene, message)
    assert (told["state"], told["recipients"], told["deliveries"]) == ("queued", 1100, [])
    assert lines(scene, message)[1] == ("queued", "1100 recipients not yet expanded")
    (entry,) = listed(scene)
    assert (entry["state"], entry["recipients"], entry["deliveries"]) == ("queued", 1100, [])
    scene.expand(1)
    scene.settle(scene.claim(limit=500), Result.ACCEPTED)
    assert len(show(scene, message)["deliveries"]) == 500
    assert show(scene, message)["state"] == "queued", "600 are still to come"
    scene.expand()
    assert lines(scene, message)[1] == ("queued", "1100 segments on operator")


def test_every_word_of_an_event_is_one_that_is_known(scene) -> None:
    message = scene.send(A)
    row = {"message_id": message, "segment_id": None, "at": scene.now, "what": "reported", "detail": "by mail"}
    scene.store.run_now(lambda c: c.execute(insert(schema.event), row))
    assert lines(scene, message)[-1] == ("reported", "by mail")
    assert set(words(scene, message)) <= set(timeline.WORDS)


def test_a_message_that_is_not_there_is_refused(scene) -> None:
    with pytest.raises(RefusedError, match="there is no message 12"):
        show(scene, 12)


def test_messages_are_listed_newest_first_over_all_pages(scene) -> None:
    sent = [scene.send(A, text=str(n)) for n in range(7)]
    assert [int(one["id"]) for one in listed(scene, limit=2)] == sent[::-1]
    assert [int(one["id"]) for one in listed(scene, limit=7)] == sent[::-1]
    assert [int(one["id"]) for one in listed(scene, limit=100)] == sent[::-1]


def test_pages_are_bounded_by_recipients_too(scene, many, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "PAGE_RECIPIENTS", 5)
    sent = [scene.send(*many(count)) for count in (3, 3, 8, 1)]
    sizes = []
    before = None
    while True:
        page = scene.store.read_now(functools.partial(story.page, wanted=Wanted(), before=before))
        sizes.append([one["recipients"] for one in page.documents])
        before = page.before
        if before is None:
            break
    assert sizes == [[1], [8], [3], [3]]
    assert len(sent) == 4


def test_a_list_is_narrowed_by_account_time_and_state(scene) -> None:
    first = scene.send(A)
    middle = scene.later(hours=1)
    hers = scene.send(A, by="marie")
    scene.settle(scene.claim(), Result.ACCEPTED)
    waiting = scene.send(A, B)
    half = scene.send(A, B)

    def ids(**wanted: Any) -> list[int]:
        return [int(one["id"]) for one in listed(scene, Wanted(**wanted))]

    assert ids(account=scene.accounts["marie"]) == [hers]
    assert ids(since=middle) == [half, waiting, hers]
    assert ids(state=State.ACCEPTED) == [hers, first]
    assert ids(state=State.QUEUED) == [half, waiting]
    assert ids(state=State.ACCEPTED, since=middle) == [hers]
    assert ids(state=State.FAILED) == []


def test_a_state_is_that_of_a_delivery_and_not_of_its_parts(scene) -> None:
    """Two parts, one accepted, one queued: the delivery is queued, and not accepted."""
    message = scene.send(A, text="x" * 200)
    scene.settle(scene.claim(limit=1), Result.ACCEPTED)
    assert listed(scene, Wanted(state=State.ACCEPTED)) == []
    assert [int(one["id"]) for one in listed(scene, Wanted(state=State.QUEUED))] == [message]
    scene.settle(scene.claim(), Result.ACCEPTED)
    assert [one["deliveries"][0]["state"] for one in listed(scene, Wanted(state=State.ACCEPTED))] == ["accepted"]


@pytest.fixture
def statements(scene) -> Iterator[list[str]]:
    """Every statement from now on."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(scene.store.engine, "before_cursor_execute", note)
    yield said
    event.remove(scene.store.engine, "before_cursor_execute", note)


def test_the_number_of_statements_does_not_grow_with_what_is_told(scene, many, statements) -> None:
    counts = []
    for size in (1, 30):
        message = scene.send(*many(size), text="x" * 200)
        scene.settle(scene.claim(), Result.ACCEPTED)
        statements.clear()
        show(scene, message)
        shown = len(statements)
        statements.clear()
        listed(scene)
        counts.append((shown, len(statements)))
    assert counts[0] == counts[1]
    assert max(counts[0]) <= 10


def test_messages_from_handsets_are_listed_newest_first(scene) -> None:
    rows = [
        {
            "at": scene.later(minutes=1),
            "route": "operator",
            "sender": A,
            "address": "32475",
            "text": f"no {n}",
            "payload": b"",
            "data_coding": 0,
            "esm_class": 0,
        }
        for n in range(5)
    ]
    scene.store.run_now(lambda c: c.execute(insert(schema.incoming), rows))
    page = scene.store.read_now(lambda c: story.incoming(c, limit=3))
    assert [one["text"] for one in page.documents] == ["no 4", "no 3", "no 2"]
    rest = scene.store.read_now(lambda c: story.incoming(c, limit=3, before=page.before))
    assert ([one["text"] for one in rest.documents], rest.before) == (["no 1", "no 0"], None)
    since = scene.store.read_now(lambda c: story.incoming(c, since=rows[3]["at"]))
    assert [one["text"] for one in since.documents] == ["no 4", "no 3"]
    assert set(since.documents[0]) == {"id", "at", "route", "from", "to", "text"}
