"""Contacts, lists and opt-outs over HTTP: names become recipients as they do on the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from daemon.console import sending
from daemon.console.models import MessageWanted
from daemon.console.sending import Asked
from gateway import accounts, compose, contacts, lists, mail_address, optouts
from gateway.contacts import Entry, Mailbox
from gateway.message import Channel
from gateway.routing import Route
from gateway.store.store import Store
from tests.daemon.console.conftest import MESSAGES, Console, is_problem, running
from tests.peers.mail_sink import MailSink

ROUTES = (Route("operator", frozenset({Channel.SMS}), "smpp", not_prefixes=("+1",)),)


def book(connection: Connection) -> None:
    """What ann has in her book: Jean with a mobile and an address, Mail with an address only, a list of both."""
    now = datetime.now(UTC)
    owner = accounts.find(connection, "ann")
    private = contacts.open_book(connection, owner.id, "private")
    mobile = contacts.telephone_of("mobile:+32475123456", "BE")
    jean = [Mailbox(mail_address.checked("jean@example.org"))]
    contacts.add(connection, private, Entry("Jean Dupont", [mobile], jean), now=now)
    contacts.add(connection, private, Entry("Mail Only", [], [Mailbox("mail@example.org")]), now=now)
    lists.add(connection, owner.id, "family", ["Jean Dupont", "Mail Only", "+32475999999"], region="BE", now=now)


@pytest.fixture
async def console(tmp_path: Path, template: Path) -> AsyncIterator[Console]:
    """A console with a book, and a route for e-mail."""
    async with MailSink() as sink, running(tmp_path, template, mail=sink.port) as one:
        await one.run(book)
        yield one


async def test_a_contact_and_a_list_are_recipients(console: Console) -> None:
    ann = console.client()
    answer = await ann.post(MESSAGES, json={"sms": ["jean dupont"], "text": "hello"})
    assert [(one["to"], one["channel"]) for one in answer.json()["deliveries"]] == [("+32475123456", "sms")]
    answer = await ann.post(MESSAGES, json={"lists": ["family"], "text": "hello", "subject": "All of you"})
    assert answer.status_code == 202
    assert {(one["to"], one["channel"]) for one in answer.json()["deliveries"]} == {
        ("+32475123456", "sms"),
        ("+32475999999", "sms"),
        ("mail@example.org", "email"),
    }
    assert answer.json()["units"] == 2


async def test_one_message_goes_by_sms_and_by_mail(console: Console) -> None:
    ann = console.client()
    wanted = {"sms": ["+32475123456"], "email": ["jean@example.org"], "subject": "Tonight", "text": "hello"}
    told = (await ann.post(MESSAGES, json=wanted, headers={"idempotency-key": "both"})).json()
    assert [(one["channel"], one["segments"]) for one in told["deliveries"]] == [("sms", 1), ("email", 1)]
    again = (await ann.post(MESSAGES, json=wanted, headers={"idempotency-key": "both"})).json()
    assert again == told


async def test_a_name_nobody_has_is_named_with_its_place(console: Console) -> None:
    wanted = {"sms": ["+32475123456", "Nobody"], "lists": ["friends"], "text": "hello"}
    found = is_problem(await console.client().post(MESSAGES, json=wanted), 422)
    assert {(one["path"], one["recipient"]) for one in found["errors"]} == {
        ("sms[1]", "Nobody"),
        ("lists[0]", "friends"),
    }


async def test_a_message_that_was_taken_is_told_again_though_its_contact_is_gone(console: Console) -> None:
    ann = console.client()
    key, wanted = {"idempotency-key": "once"}, {"sms": ["Jean Dupont"], "text": "hello"}
    first = (await ann.post(MESSAGES, json=wanted, headers=key)).json()

    def remove(connection: Connection) -> None:
        owner = accounts.find(connection, "ann")
        contacts.remove(connection, contacts.find(connection, owner.id, "Jean Dupont"))

    await console.run(remove)
    is_problem(await ann.post(MESSAGES, json=wanted), 422)
    again = await ann.post(MESSAGES, json=wanted, headers=key)
    assert (again.status_code, again.json()) == (202, first)
    is_problem(await ann.post(MESSAGES, json={**wanted, "text": "other"}, headers=key), 409)


async def test_who_opted_out_is_sent_nothing_within_moments(console: Console) -> None:
    ann = console.client()
    wanted = {"sms": ["+32475123450", "+32475123456"], "text": "hello"}
    assert (await ann.post(MESSAGES, json=wanted)).status_code == 202
    now = datetime.now(UTC)
    await console.run(lambda c: optouts.add(c, accounts.find(c, "ann").id, ["+32475123456"], now=now))
    began = asyncio.get_running_loop().time()
    while (answer := await ann.post(MESSAGES, json=wanted)).status_code == 202:
        assert asyncio.get_running_loop().time() - began < 2.5
        await asyncio.sleep(0.02)
    (wrong,) = is_problem(answer, 422)["errors"]
    assert (wrong["path"], wrong["recipient"]) == ("sms[1]", "+32475123456")
    assert (await console.client("bob").post(MESSAGES, json=wanted)).status_code == 202


# Both ways ------------------------------------------------------------------------------------------------------------

_written = st.sampled_from(
    ["+32475123456", "0475 12 34 56", "0032475123457", "+33612345678", "+12025550123", "0475", "0", "+32475999999"]
)
_wanted = st.builds(
    MessageWanted,
    sms=st.lists(_written, min_size=1, max_size=5),
    text=st.sampled_from(["", "hello", "ten words " * 200]),
    subject=st.sampled_from(["", "subject"]),
    at=st.sampled_from([None, "2026-12-24T18:00", "2026-12-24T18:00:00+02:00"]),
    validity=st.sampled_from([None, "PT2H"]),
    urgent=st.booleans(),
)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Any:
    import shutil

    from gateway import verbs
    from gateway.store.engine import open_engine, parse_url

    file = tmp_path_factory.mktemp("books") / "tocsin.db"
    shutil.copy(template, file)
    store = verbs.open_store(open_engine(parse_url(f"sqlite:///{file}")))
    now = datetime(2026, 11, 1, tzinfo=UTC)

    def add(connection: Connection) -> accounts.Account:
        accounts.add(
            connection, "ann", now=now, settings={"region": "BE", "zone": "Europe/Brussels", "signature": "A."}
        )
        return accounts.find(connection, "ann")

    yield store, store.run_now(add)
    store.close()


@given(wanted=_wanted)
def test_numbers_alone_make_the_same_draft_without_the_database(
    books: tuple[Store, Any], wanted: MessageWanted
) -> None:
    store, ann = books
    asked = Asked(wanted, ann, b"k" * 32, None, datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert asked.is_plain

    def outcome(make: Any) -> Any:
        try:
            draft = make()
        except sending.ProblemError as problem:
            return problem.status, sorted({one["detail"].rstrip(".") for one in problem.errors})
        whom = sorted((leg.recipient.channel, leg.recipient.address, leg.route, leg.price) for leg in draft.legs)
        request = draft.request
        return whom, request.text, request.at, request.validity, request.urgent, request.key, request.content

    composed = outcome(lambda: store.read_now(lambda connection: sending.composed(connection, asked, ROUTES)))
    assert outcome(lambda: sending.plain(asked, ROUTES)) == composed


@given(wanted=_wanted)
def test_what_a_key_stands_for_is_the_same_both_ways(books: tuple[Store, Any], wanted: MessageWanted) -> None:
    _, ann = books
    good = MessageWanted(
        **{
            **wanted.model_dump(),
            "sms": [one for one in wanted.sms if one.startswith("+3")] or ["+32475123456"],
            "text": "x",
        }
    )
    asked = Asked(good, ann, b"k" * 32, None, datetime(2026, 11, 1, 12, tzinfo=UTC))
    content = compose.content_of(ann, asked.recipients(), asked.said(), region=None)
    assert sending.plain(asked, ROUTES).request.content == content
