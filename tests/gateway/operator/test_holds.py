"""The operator's hand: hold, release, retry, cancel, resolve; nothing is left behind and no unit is lost."""

from __future__ import annotations

import functools
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway import credit, holds, story
from gateway.failure import RefusedError
from gateway.holds import Selection
from gateway.store import schema
from gateway.transports.base import Result

A, B, FRANCE = "+32475000001", "+32475000002", "+33612345678"


def do(scene, verb, selection: Selection) -> int:
    done, after = 0, 0
    while True:
        step = scene.store.run_now(functools.partial(verb, selection=selection, now=scene.now, after=after))
        done += step.done
        if step.last is None:
            return done
        after = step.last


def stand(scene, kind: str, name: str) -> None:
    scene.store.run_now(lambda c: holds.stand(c, kind, [name], scene.now))


def lift(scene, kind: str, name: str) -> int:
    return scene.store.run_now(lambda c: holds.lift(c, kind, [name]))


def ids(scene, *numbers: int) -> Selection:
    return scene.store.read_now(lambda c: holds.find(c, numbers))


def cancel_unexpanded(scene, selection: Selection) -> int:
    done, after = 0, (0, -1)
    while after is not None:
        work = functools.partial(holds.cancel_unexpanded, selection=selection, now=scene.now, after=after)
        count, after = scene.store.run_now(work)
        done += count
    return done


def what(scene, message: int) -> list[str]:
    told = scene.store.read_now(lambda c: story.show(c, message))
    return [moment["what"] for moment in told["timeline"]]


def test_what_is_held_is_not_claimed_until_it_is_released(scene) -> None:
    message = scene.send(A, B)
    assert do(scene, holds.hold, ids(scene, message)) == 2
    assert (scene.states(message), scene.claim()) == (["held", "held"], [])
    assert do(scene, holds.release, ids(scene, message)) == 2
    assert [one.to for one in scene.claim()] == [A, B]
    assert what(scene, message) == ["received", "queued", "queued", "held"]


def test_a_standing_hold_catches_what_comes_later_and_only_that_route(scene) -> None:
    stand(scene, "route", "operator")
    message = scene.send(A, FRANCE)
    assert scene.states(message) == ["held", "queued"]
    assert what(scene, message) == ["received", "queued", "queued", "held"]
    lift(scene, "route", "operator")
    assert scene.states(scene.send(B)) == ["queued"]
    assert do(scene, holds.release, Selection(route="operator")) == 1
    assert scene.states(message) == ["queued", "queued"]


def test_a_standing_hold_on_an_account_is_his_alone(scene) -> None:
    stand(scene, "account", "jean")
    assert scene.states(scene.send(A)) == ["held"]
    assert scene.states(scene.send(A, by="marie")) == ["queued"]
    assert do(scene, holds.hold, Selection(account=scene.accounts["marie"])) == 1


def test_releasing_a_route_leaves_what_another_hold_covers(scene) -> None:
    stand(scene, "route", "operator")
    stand(scene, "account", "marie")
    his, hers = scene.send(A), scene.send(A, by="marie")
    lift(scene, "route", "operator")
    assert do(scene, holds.release, Selection(route="operator")) == 1
    assert (scene.states(his), scene.states(hers)) == (["queued"], ["held"])
    assert do(scene, holds.release, ids(scene, hers)) == 1, "the operator names it, so it goes"


def test_what_leaves_later_keeps_its_time_over_a_hold(scene) -> None:
    message = scene.send(A, at=scene.now + timedelta(hours=2))
    do(scene, holds.hold, ids(scene, message))
    do(scene, holds.release, ids(scene, message))
    scene.promote()
    assert scene.claim() == []
    scene.later(hours=2)
    scene.promote()
    assert [one.message for one in scene.claim()] == [message]


def test_what_became_due_while_it_was_held_leaves_at_its_release(scene) -> None:
    message = scene.send(A, at=scene.now + timedelta(hours=2))
    do(scene, holds.hold, ids(scene, message))
    scene.later(hours=3)
    scene.promote()
    assert scene.claim() == []
    do(scene, holds.release, ids(scene, message))
    assert [one.message for one in scene.claim()] == [message]


def test_a_segment_is_never_handled_without_its_siblings(scene) -> None:
    message = scene.send(A, B, text="x" * 400)
    second = scene.segments(message)[1]
    assert do(scene, holds.hold, ids(scene, second)) == 3
    assert scene.states(message) == ["held"] * 3 + ["queued"] * 3
    assert do(scene, holds.cancel, ids(scene, second)) == 3
    assert scene.states(message) == ["cancelled"] * 3 + ["queued"] * 3


def test_a_delivery_and_its_message_may_both_be_named(scene) -> None:
    message = scene.send(A, B)
    shown = scene.store.read_now(lambda c: story.show(c, message))
    delivery = int(shown["deliveries"][0]["id"])
    assert do(scene, holds.hold, ids(scene, delivery)) == 1
    assert do(scene, holds.hold, ids(scene, message, delivery)) == 1
    assert scene.states(message) == ["held", "held"]


def test_an_id_that_means_nothing_is_refused_by_name(scene) -> None:
    message = scene.send(A)
    with pytest.raises(RefusedError, match="no message or segment 999999"):
        ids(scene, message, 999999)


def test_what_waits_for_another_attempt_goes_at_once(scene) -> None:
    message = scene.send(A)
    scene.settle(scene.claim(), Result.TRANSIENT, code="0x00000045")
    assert scene.claim() == []
    assert do(scene, holds.retry, ids(scene, message)) == 1
    (again,) = scene.claim()
    assert (again.message, again.attempts) == (message, 1)
    assert what(scene, message) == ["received", "queued", "submitted", "retried", "retried"]


def test_a_retry_does_not_hasten_what_was_asked_to_leave_later(scene) -> None:
    message = scene.send(A, at=scene.now + timedelta(hours=2))
    assert do(scene, holds.retry, ids(scene, message)) == 0
    scene.promote()
    assert scene.claim() == []


def test_cancelling_returns_the_units_of_what_has_not_left(scene) -> None:
    before = scene.left()
    message = scene.send(A, B, FRANCE)
    assert scene.left() == before - 4
    scene.settle(scene.claim(limit=1), Result.ACCEPTED)
    do(scene, holds.hold, ids(scene, message))
    assert do(scene, holds.cancel, ids(scene, message)) == 2
    assert scene.states(message) == ["accepted", "cancelled", "cancelled"]
    assert scene.left() == before - 1
    assert do(scene, holds.cancel, ids(scene, message)) == 0
    assert scene.left() == before - 1


def test_more_than_one_step_is_handled_whole(scene, many) -> None:
    first, second = scene.send(*many(700)), scene.send(*many(600, 700))
    other = scene.send(A, by="marie")
    assert do(scene, holds.hold, Selection(account=scene.accounts["jean"])) == 1300
    assert {*scene.states(first), *scene.states(second)} == {"held"}
    assert do(scene, holds.cancel, Selection(account=scene.accounts["jean"])) == 1300
    assert {*scene.states(first), *scene.states(second)} == {"cancelled"}
    assert scene.states(other) == ["queued"]
    assert scene.left() == 10_000


@pytest.mark.parametrize(
    ("verdict", "state", "paid"), [("accepted", "accepted", 1), ("failed", "failed", 0), ("resend", "queued", 1)]
)
def test_the_operator_says_what_became_of_an_unknown(scene, verdict, state, paid) -> None:
    before = scene.left()
    message = scene.send(A)
    scene.settle(scene.claim(), Result.UNKNOWN)
    other = scene.send(B)
    chosen = ids(scene, message, other)
    assert do(scene, functools.partial(holds.resolve, verdict), chosen) == 1
    assert scene.states(message) == [state]
    assert scene.states(other) == ["queued"], "what is not unknown is left alone"
    assert scene.left() == before - paid - 1
    scene.promote()
    assert [one.resent for one in scene.claim() if one.message == message] == ([True] if verdict == "resend" else [])


def test_a_message_that_is_being_expanded_can_be_held(scene, many) -> None:
    message = scene.send(*many(1100))
    assert scene.store.read_now(lambda c: holds.unexpanded(c, ids(scene, message))) == (message,)
    stand(scene, "message", str(message))
    assert scene.expand() == 3
    assert set(scene.states(message)) == {"held"}
    assert lift(scene, "message", str(message)) == 1
    assert do(scene, holds.release, ids(scene, message)) == 1100
    assert set(scene.states(message)) == {"queued"}


def test_recipients_that_are_not_in_the_queue_yet_are_cancelled_with_their_units(scene, many) -> None:
    message = scene.send(*many(1100), text="x" * 200)
    assert scene.left() == 10_000 - 2200
    scene.expand(1)
    chosen = ids(scene, message)
    assert cancel_unexpanded(scene, chosen) == 600
    assert scene.left() == 10_000 - 1000
    assert do(scene, holds.cancel, chosen) == 1000
    assert scene.left() == 10_000
    assert scene.expand() == 0
    told = scene.store.read_now(lambda c: story.show(c, message))
    assert (told["state"], told["recipients"], len(told["deliveries"])) == ("cancelled", 500, 500)


def test_a_list_cancelled_before_anything_of_it_was_expanded_is_cancelled(scene, many) -> None:
    message = scene.send(*many(1100))
    assert cancel_unexpanded(scene, ids(scene, message)) == 1100
    told = scene.store.read_now(lambda c: story.show(c, message))
    assert (told["state"], told["recipients"], told["deliveries"]) == ("cancelled", 0, [])
    assert scene.left() == 10_000


def test_only_the_recipients_of_a_route_are_cancelled(scene, many) -> None:
    belgian, french = many(900), many(200, prefix="+33612")
    mixed = [number for pair in zip(belgian, french, strict=False) for number in pair] + belgian[200:]
    message = scene.send(*mixed)
    assert scene.left() == 10_000 - 900 - 400
    assert cancel_unexpanded(scene, Selection(route="france")) == 200
    assert scene.left() == 10_000 - 900
    scene.expand()
    told = scene.store.read_now(lambda c: story.show(c, message))
    assert {one["to"] for one in told["deliveries"]} == set(belgian)
    assert told["recipients"] == 900
    assert do(scene, holds.cancel, Selection(route="operator")) == 900
    assert scene.left() == 10_000


def test_units_of_an_allotment_go_back_to_it_in_whatever_pieces(scene, many) -> None:
    """1,300 units, of which the allotment pays 500; a part is cancelled before it is in the queue, the rest after."""
    scene.add("paul", plan=500)
    message = scene.send(*many(200, prefix="+33612"), *many(900), by="paul")
    assert cancel_unexpanded(scene, Selection(route="france")) == 200
    shown = scene.store.run_now(lambda c: credit.show(c, scene.accounts["paul"], scene.now))
    # The first chunk has 200 French recipients at 2 units, and 300 Belgian ones: these keep the allotment's units.
    assert (shown["allotment"]["left"], shown["allotment"]["reserved"]) == (200, 300)
    assert (shown["provision"]["left"], shown["provision"]["reserved"]) == (9_400, 600)
    scene.expand()
    assert do(scene, holds.cancel, ids(scene, message)) == 900
    shown = scene.store.run_now(lambda c: credit.show(c, scene.accounts["paul"], scene.now))
    assert (shown["allotment"]["left"], shown["allotment"]["reserved"]) == (500, 0)
    assert (shown["provision"]["left"], shown["provision"]["reserved"]) == (10_000, 0)
    assert scene.left("paul") == 10_500


def test_an_accounts_whole_queue_is_cancelled_with_what_is_not_expanded(scene, many) -> None:
    scene.send(*many(1100))
    scene.send(A)
    hers = scene.send(*many(1001), by="marie")
    mine = Selection(account=scene.accounts["jean"])
    assert cancel_unexpanded(scene, mine) == 1100
    assert do(scene, holds.cancel, mine) == 1
    assert scene.left() == 10_000
    scene.expand()
    assert len(scene.states(hers)) == 1001


def test_what_expires_while_it_is_held_is_not_released(scene) -> None:
    message = scene.send(A)
    do(scene, holds.hold, ids(scene, message))
    segment = schema.segment
    scene.store.run_now(lambda c: c.execute(update(segment).values(state="expired")))
    assert do(scene, holds.release, ids(scene, message)) == 0
    assert scene.states(message) == ["expired"]


def test_standing_holds_are_listed_and_set_once(scene) -> None:
    stand(scene, "route", "operator")
    since = scene.now
    scene.later(hours=1)
    stand(scene, "route", "operator")
    stand(scene, "account", "jean")
    assert scene.store.read_now(holds.standing) == [("account", "jean", scene.now), ("route", "operator", since)]
    assert (lift(scene, "route", "operator"), lift(scene, "route", "operator")) == (1, 0)
    assert len(scene.store.read_now(lambda c: c.execute(select(schema.hold)).all())) == 1
