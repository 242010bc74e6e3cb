"""What waits, as `tocsin queue show` lists it."""

from __future__ import annotations

import functools
from typing import Any

from gateway import backlog
from gateway.backlog import Wanted
from gateway.message import State
from gateway.transports.base import Result

A, FRANCE = "+32475000001", "+33612345678"


def listed(scene, wanted: Wanted = Wanted(), limit: int = 1000) -> list[dict[str, Any]]:  # noqa: B008
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page, after = scene.store.read_now(functools.partial(backlog.page, wanted=wanted, after=after, limit=limit))
        found += page
    return found


def test_only_what_is_open_waits_and_says_why(scene) -> None:
    done, unknown, tried = scene.send(A), scene.send(A), scene.send(A)
    first, second, third = scene.claim()
    scene.settle([first], Result.ACCEPTED)
    scene.settle([second], Result.UNKNOWN, text="the connection was lost")
    scene.settle([third], Result.TRANSIENT, code="0x00000045", text="busy")
    waiting = scene.send(FRANCE, text="x" * 200)
    told = listed(scene)
    assert [(one["message"], one["n"], one["of"], one["state"], one["attempts"], one["why"]) for one in told] == [
        (str(unknown), 1, 1, "unknown", 1, "the connection was lost"),
        (str(tried), 1, 1, "queued", 1, "0x00000045 busy"),
        (str(waiting), 1, 2, "queued", 0, ""),
        (str(waiting), 2, 2, "queued", 0, ""),
    ]
    assert str(done) not in {one["message"] for one in told}
    assert told[1]["due"] is not None


def test_pages_join_without_gap(scene, many) -> None:
    message = scene.send(*many(25))
    assert [int(one["id"]) for one in listed(scene, limit=10)] == scene.segments(message)
    assert [int(one["id"]) for one in listed(scene, limit=25)] == scene.segments(message)


def test_it_is_narrowed_by_route_account_and_state(scene) -> None:
    mixed = scene.send(A, FRANCE)
    hers = scene.send(A, by="marie")
    assert [one["to"] for one in listed(scene, Wanted(route="france"))] == [FRANCE]
    assert {one["message"] for one in listed(scene, Wanted(account=scene.accounts["marie"]))} == {str(hers)}
    assert listed(scene, Wanted(state=State.HELD)) == []
    assert {one["message"] for one in listed(scene, Wanted(state=State.QUEUED))} == {str(mixed), str(hers)}


def test_recipients_that_are_not_in_the_queue_yet_are_counted(scene, many) -> None:
    message = scene.send(*many(1000), *many(101, prefix="+33612"))

    def unexpanded(**wanted: Any) -> list[tuple[str, str, int]]:
        found = scene.store.read_now(lambda c: list(backlog.unexpanded(c, Wanted(**wanted))))
        return [(one["message"], one["account"], one["recipients"]) for one in found]

    assert unexpanded() == [(str(message), "jean", 1101)]
    assert unexpanded(route="france") == [(str(message), "jean", 101)]
    assert unexpanded(account=scene.accounts["marie"]) == []
    assert unexpanded(state=State.HELD) == []
    scene.expand()
    assert unexpanded() == []
