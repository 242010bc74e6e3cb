"""A mail that anybody could send again is taken once for each recipient (CONTRACT, "Who may send")."""

from __future__ import annotations

import pytest

from gateway.draft import Draft, Recipient, Request, prepare
from gateway.failure import RefusedError
from gateway.intake import Taken, UsedBeforeError
from gateway.message import Channel, Origin
from gateway.store import schema

A, B = "+32475000001", "+32475000002"


@pytest.fixture
def ann(desk) -> int:
    return desk.account(bought=100)


def copy(desk, account: int, *to: str, mail: bytes = b"1", signature: bytes = b"", text: str = "hello") -> Draft:
    """A relayed mail, keyed as the door keys it: by its id and text, and for each recipient by its marks."""
    marks = [b"id" + mail, *([b"dkim" + signature] if signature else [])]
    recipients = tuple(
        Recipient(Channel.SMS, number, "", tuple(mark + number.encode() for mark in marks)) for number in to
    )
    request = Request(account, Origin.MAIL, recipients, text, key=mail + text.encode())
    return prepare(request, routes=desk.routes, now=desk.now, max_parts=6, transliterate=True)


async def test_a_copy_with_other_words_is_refused_and_costs_nothing(desk, ann: int) -> None:
    [taken] = await desk.submit(copy(desk, ann, A))
    [refused] = await desk.submit(copy(desk, ann, A, text="other words"))
    assert isinstance(refused, UsedBeforeError)
    assert refused.smtp == "550 5.7.1"
    assert [row.id for row in desk.rows(schema.message)] == [taken.id]
    assert desk.left(ann)[1] == 99


async def test_the_same_mail_again_is_the_same_message(desk, ann: int) -> None:
    """A relay that lost our answer asks again, and is told what it missed."""
    [first] = await desk.submit(copy(desk, ann, A))
    [again] = await desk.submit(copy(desk, ann, A))
    assert isinstance(again, Taken)
    assert (again.id, again.seen) == (first.id, True)


async def test_the_other_recipients_of_the_mail_may_come_later(desk, ann: int) -> None:
    [first] = await desk.submit(copy(desk, ann, A))
    [more] = await desk.submit(copy(desk, ann, A, B))
    assert isinstance(more, Taken)
    assert more.id == first.id
    assert len(desk.rows(schema.delivery)) == 2
    [refused] = await desk.submit(copy(desk, ann, B, text="other words"))
    assert isinstance(refused, UsedBeforeError)


async def test_a_copy_under_another_id_is_known_by_its_signature(desk, ann: int) -> None:
    await desk.submit(copy(desk, ann, A, mail=b"1", signature=b"s"))
    [refused] = await desk.submit(copy(desk, ann, A, mail=b"2", signature=b"s", text="hello"))
    assert isinstance(refused, UsedBeforeError)
    [taken] = await desk.submit(copy(desk, ann, A, mail=b"2", signature=b"t"))
    assert isinstance(taken, Taken)


async def test_of_copies_that_come_at_once_one_is_taken(desk, ann: int) -> None:
    copies = [copy(desk, ann, A, mail=b"%d" % n, signature=b"s") for n in range(20)]
    answers = await desk.submit(*copies)
    assert sum(isinstance(answer, Taken) for answer in answers) == 1
    assert sum(isinstance(answer, UsedBeforeError) for answer in answers) == 19
    assert len(desk.rows(schema.message)) == 1
    assert desk.left(ann)[1] == 99


async def test_what_is_refused_for_want_of_credit_was_not_used(desk) -> None:
    poor = desk.account("poor")
    [refused] = await desk.submit(copy(desk, poor, A))
    assert isinstance(refused, RefusedError)
    assert not isinstance(refused, UsedBeforeError)
    assert desk.rows(schema.seen) == []


async def test_another_accounts_mail_is_another_mail(desk, ann: int) -> None:
    bob = desk.account("bob", bought=10)
    answers = await desk.submit(copy(desk, ann, A), copy(desk, bob, A, text="other words"))
    assert all(isinstance(answer, Taken) for answer in answers)
