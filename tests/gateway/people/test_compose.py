"""Composing: who gets it, once per channel; who is refused, who is left out of a list, and why."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert

from gateway import compose, reports, verbs
from gateway.addressing import Wanted
from gateway.claims import Claim
from gateway.compose import Said
from gateway.dsn import Asked, Wish
from gateway.failure import RefusedError
from gateway.intake import KeyUsedError, Taken, submit_many
from gateway.quote import document
from gateway.settlement import Settle
from gateway.store import schema
from gateway.transports.base import Outcome, Result
from tests.gateway.people.conftest import NOW, ROUTES

JEAN = "+32475123456"


def to(found: Any) -> list[tuple[str, str]]:
    assert found.draft is not None, found
    return [(leg.recipient.channel.value, leg.recipient.address) for leg in found.draft.legs]


def test_one_message_goes_to_numbers_addresses_contacts_and_lists_over_each_channel_once(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", "home:022123456", "mobile:0475123456", mail=("jean@example.org",))
    office.list(ann, "friends", "Jean", "0475 00 00 01", "zoe@example.org")
    office.list(ann, "everybody", "list:friends", JEAN, "ZOE@example.org")
    wanted = Wanted(
        sms=("Jean", "0475 12 34 56", JEAN, "contact:jean"),
        email=("JEAN@Example.org", "jean"),
        lists=("friends", "everybody"),
    )
    found = office.quote(ann, wanted)
    assert to(found) == [
        ("sms", JEAN),
        ("email", "JEAN@example.org"),
        ("sms", "+32475000001"),
        ("email", "zoe@example.org"),
    ]
    assert (found.units, found.refused, found.left_out, found.why) == (2, (), (), None)


def test_who_is_named_and_cannot_be_reached_is_refused_with_what_to_do(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Fixed", "home:022123456")
    office.contact(ann, "Empty")
    office.list(ann, "friends", "0475000001")
    wanted = Wanted(
        sms=("Fixed", "Empty", "Nobody", "friends", "a@example.org", "0475 12", "+12025550123", JEAN),
        email=("Fixed", "0475123456", "no address@"),
        fax=("Empty", "022123456"),
        lists=("enemies",),
    )
    found = office.quote(ann, wanted)
    told = {(one.channel, one.to): one.why for one in found.refused}
    for key, words in {
        ("sms", "Fixed"): "Fixed has no number that can get an SMS: +32 2 212 34 56 is a fixed line",
        ("sms", "Empty"): "Empty has no number: add one of the kind mobile",
        ("sms", "Nobody"): "there is no contact Nobody",
        ("sms", "friends"): "friends is a list: write list:friends, or --list friends",
        ("sms", "a@example.org"): "is an e-mail address: an SMS needs a number",
        ("sms", "0475 12"): "too short",
        ("sms", "+12025550123"): "no route takes +12025550123",
        ("email", "Fixed"): "has no e-mail address",
        ("email", "0475123456"): "is a number, an e-mail needs an address",
        ("email", "no address@"): "is no e-mail address",
        ("fax", "Empty"): "Empty has no fax number: add one of the kind fax",
        ("fax", "+3222123456"): "no route here carries fax",
        ("list", "enemies"): "there is no list enemies",
    }.items():
        assert words in told.pop(key), key
    assert told == {}
    assert found.objection() is not None
    assert to(found) == [("sms", JEAN)]  # what would be sent, were the others left out


def test_a_list_goes_to_those_who_can_be_reached_and_names_the_others(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Fixed", "home:022123456")
    office.contact(ann, "Mail only", "home:022123456", mail=("m@example.org",))
    office.list(ann, "friends", "Fixed", "Mail only", "022123457", "+12025550123", JEAN)
    found = office.quote(ann, Wanted(lists=("friends",)))
    assert to(found) == [("email", "m@example.org"), ("sms", JEAN)]
    assert [(one.to, one.via) for one in found.left_out] == [
        ("Fixed", "friends"),
        ("+3222123457", "friends"),
        ("+12025550123", "friends"),
    ]
    assert "is a fixed line" in found.left_out[0].why
    assert "no route takes +12025550123" in found.left_out[2].why
    assert found.objection() is None


def test_a_list_nobody_of_which_can_be_reached_is_refused(office: Any) -> None:
    ann = office.account()
    office.list(ann, "friends", "022123456", "022123457")
    office.list(ann, "nobody")
    error = office.quote(ann, Wanted(lists=("friends",))).objection()
    assert str(error).startswith("nobody on the list friends can be reached: +3222123456: ")
    assert str(error).endswith("and 1 more likewise")
    assert "nobody is on the list nobody" in str(office.quote(ann, Wanted(lists=("nobody",))).objection())


def test_a_list_over_one_channel_reaches_everybody_that_way(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", JEAN, mail=("jean@example.org",))
    office.list(ann, "friends", "Jean", "0475000001", "zoe@example.org")
    found = office.quote(ann, Wanted(email=("list:friends",)))
    assert to(found) == [("email", "jean@example.org"), ("email", "zoe@example.org")]
    assert [one.to for one in found.left_out] == ["+32475000001"]


def test_me_is_the_accounts_own_number_and_address(office: Any) -> None:
    ann, bob = office.account(mobile="+32475999999"), office.account("bob")
    assert to(office.quote(ann, Wanted(sms=("me",), email=("ME",)))) == [
        ("sms", "+32475999999"),
        ("email", "ann@example.org"),
    ]
    assert "bob has no mobile number of its own" in str(office.quote(bob, Wanted(sms=("me",))).objection())


def test_who_opted_out_is_refused_by_name_and_left_out_of_lists(office: Any) -> None:
    ann, bob = office.account("ann"), office.account("bob")
    office.contact(ann, "Jean", JEAN)
    office.list(ann, "friends", "Jean", "0475000001", "zoe@example.org")
    office.opt_out(JEAN)
    office.opt_out("zoe@example.org", owner=ann)
    found = office.quote(ann, Wanted(sms=("Jean",), email=("Zoe@Example.org",)))
    assert found.draft is None
    assert [one.why.partition(":")[0] for one in found.refused] == [
        f"{JEAN} has opted out of all messages",
        "zoe@example.org has opted out of this account's messages",
    ]
    of_list = office.quote(ann, Wanted(lists=("friends",)))
    assert to(of_list) == [("sms", "+32475000001")]
    assert [one.to for one in of_list.left_out] == ["Jean", "zoe@example.org"]
    assert to(office.quote(bob, Wanted(email=("zoe@example.org",)))) == [("email", "zoe@example.org")]
    assert office.quote(bob, Wanted(sms=(JEAN,))).draft is None


def test_a_dry_run_shows_every_delivery_its_segments_and_its_price(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", JEAN, mail=("jean@example.org",))
    told = document(office.quote(ann, Wanted(sms=("Jean",), email=("Jean",)), text="x" * 200))
    assert [(one["to"], one["route"], one["segments"], one["units"]) for one in told["deliveries"]] == [
        (JEAN, "operator", 2, 2),
        ("jean@example.org", "post", 1, 0),
    ]
    assert list(told["texts"]) == ["operator"]
    assert told["units"] == 2


def test_the_parts_an_account_allows_do_not_limit_an_e_mail(office: Any) -> None:
    ann = office.account(max_parts=1)
    words = "long " * 5000
    assert to(office.quote(ann, Wanted(email=("a@example.org",)), text=words)) == [("email", "a@example.org")]
    assert "this account allows 1" in str(office.quote(ann, Wanted(sms=(JEAN,)), text=words).objection())
    assert "nothing to say" in str(office.quote(ann, Wanted(email=("a@example.org",)), text="").objection())


# Keys -----------------------------------------------------------------------------------------------------------------


def submit(office: Any, found: Any) -> Taken:
    answer = office.store.run_now(lambda c: submit_many(c, [found.draft], office.store.identifiers)[0])
    assert isinstance(answer, Taken), answer
    return answer


def keyed(office: Any, owner: int, wanted: Wanted, **more: Any) -> dict[str, Any]:
    content = compose.content_of(office.owner(owner), wanted, Said("hello", **more), region="BE")
    return {"key": b"k", "content": content, **more}


def test_a_repeated_request_is_the_same_message_whoever_is_on_its_lists_by_now(office: Any) -> None:
    ann = office.account()
    office.list(ann, "friends", "zoe@example.org")
    wanted = Wanted(lists=("friends",), email=("A@example.org",))
    said = keyed(office, ann, wanted)
    first = submit(office, office.quote(ann, wanted, **said))
    office.list(ann, "friends", "new@example.org")
    again = Wanted(lists=("Friends",), email=("a@EXAMPLE.org", "a@example.org"))
    assert keyed(office, ann, again) == said
    repeated = submit(office, office.quote(ann, again, **said))
    assert (repeated.id, repeated.seen, repeated.deliveries) == (first.id, True, ())
    account = office.owner(ann)
    known = office.store.read_now(lambda c: compose.repeated(c, account, Said("hello", **said)))
    assert known == first.id


@pytest.mark.parametrize(
    "other",
    [Wanted(email=("b@example.org",)), Wanted(sms=("a@example.org",)), Wanted(email=("a@example.org",), lists=("x",))],
)
def test_a_key_for_something_else_is_refused(office: Any, other: Wanted) -> None:
    ann = office.account()
    wanted = Wanted(email=("a@example.org",))
    submit(office, office.quote(ann, wanted, **keyed(office, ann, wanted)))
    said = Said("hello", **keyed(office, ann, other))
    account = office.owner(ann)
    with pytest.raises(KeyUsedError) as refused:
        office.store.read_now(lambda c: compose.repeated(c, account, said))
    assert refused.value.http == 409


def test_a_list_without_credit_for_all_of_it_sends_nothing_to_anybody(office: Any) -> None:
    ann = office.account()
    office.list(ann, "friends", "0475000001", "0475000002")
    found = office.quote(ann, Wanted(lists=("friends",)))
    (answer,) = office.store.run_now(lambda c: submit_many(c, [found.draft], office.store.identifiers))
    assert isinstance(answer, RefusedError)
    assert "2 units needed, 0 left" in str(answer)
    assert office.store.read_now(lambda c: c.execute(schema.delivery.select()).all()) == []


def test_who_is_left_out_stands_in_the_timeline(office: Any) -> None:
    ann = office.account()
    office.list(ann, "friends", "022123456", "zoe@example.org")
    taken = submit(office, office.quote(ann, Wanted(lists=("friends",))))
    (event,) = office.store.read_now(lambda c: c.execute(schema.event.select()).all())
    assert (event.message_id, event.what) == (taken.id, "failed")
    assert event.detail.startswith("+3222123456 (list friends) was left out: ")


def test_a_hundred_thousand_members_are_composed_in_reasonable_time(office: Any) -> None:
    ann = office.account()
    big = office.list(ann, "big")
    rows = [
        {"list_id": big, "identity": f"a{n}@example.org", "place": n, "kind": "address", "address": f"a{n}@example.org"}
        for n in range(50_000)
    ]
    rows += [
        {"list_id": big, "identity": f"+3247{n:07}", "place": n, "kind": "number", "address": f"+3247{n:07}"}
        for n in range(50_000)
    ]
    office.store.run_now(
        lambda c: c.execute(insert(schema.list_member), [{**row, "sms": row["kind"] == "number"} for row in rows])
    )
    began = time.monotonic()
    found = office.quote(ann, Wanted(lists=("big",)))
    assert found.units == 50_000
    assert len(to(found)) == 100_000
    assert time.monotonic() - began < 60


async def test_one_report_tells_of_the_left_out_and_of_success_where_both_are_owed(office: Any) -> None:
    ann = office.account()
    office.list(ann, "friends", "022123456", "zoe@example.org")
    asked = Asked(recipients={"zoe@example.org": Wish(frozenset({"SUCCESS", "DELAY"}))})
    found = office.quote(ann, Wanted(lists=("friends",)), report_to="ann@example.org", dsn=asked)
    submit(office, found)
    claimed = await office.store.do(verbs.CLAIM, Claim("post", 10, 1, NOW, ROUTES[1]))
    outcomes = tuple(Outcome(one.id, Result.ACCEPTED, written=NOW, answered=NOW) for one in claimed)
    await office.store.do(verbs.SETTLE, Settle(outcomes, NOW, {"post": NOW}, 0.5, 1, routes=ROUTES))
    house = reports.Office("sms.example.org", ROUTES)
    made = office.store.run_now(lambda c: reports.make(c, office.store.identifiers, house, NOW))
    assert made.routes == {"post"}
    (mail,) = await office.store.do(verbs.CLAIM, Claim("post", 10, 1, NOW, ROUTES[1]))
    words = mail.payload.decode()
    assert "Action: failed\r\n" in words
    assert "Final-Recipient: rfc822; friends@sms.example.org\r\n" in words
    assert "Action: relayed\r\n" in words
    assert office.store.run_now(lambda c: reports.make(c, office.store.identifiers, house, NOW)).routes == frozenset()
