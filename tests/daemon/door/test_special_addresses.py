"""Every row of the table of special addresses, on the whole daemon, over SMTP and over LMTP."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests.daemon.door.conftest import Client, Daemon, mail, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT = "@sms.example.org"
_NUMBERS = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, template: Path) -> AsyncIterator[Daemon]:
    async with running(tmp_path_factory.mktemp("door"), template, max_recipients=3) as one:
        yield one


@pytest_asyncio.fixture(params=["smtp", "lmtp"], loop_scope="module")
async def client(house: Daemon, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    one = await Client.to(getattr(house, request.param))
    yield one
    await one.close()


@dataclass(frozen=True)
class Row:
    """A mail, and the words its reply must have; `sms` is what the SMS centre gets, by number."""

    to: tuple[str, ...] = ("+32475123456",)
    words: tuple[str, ...] = ()
    sender: str = "jean@example.org"
    text: str = "hello"
    header: dict[str, str] = field(default_factory=dict)
    sms: dict[str, str] = field(default_factory=dict)


TAKEN = {
    "plus": Row(("+32475000001",), sms={"+32475000001": "hello"}),
    "double zero": Row(("0032475000002",), sms={"+32475000002": "hello"}),
    "bare and international": Row(("32475000003",), sms={"+32475000003": "hello"}),
    "national, in the region of the house": Row(("0475000004",), sms={"+32475000004": "hello"}),
    "national, in the region of the account": Row(
        ("0612345601",), sender="anna@example.org", sms={"+33612345601": "hello"}
    ),
    "dots and hyphens": Row(("+32-475.00-00.05",), sms={"+32475000005": "hello"}),
    "a zero too many": Row(("+320475000006",), ("250",), sms={"+32475000006": "hello"}),
    "a domain in capitals": Row(("+32475000007@SMS.Example.ORG",), sms={"+32475000007": "hello"}),
    "a note behind the number": Row(("32475000008+alarm",), sms={"+32475000008": "hello"}),
    "spaces in quotation marks": Row(('"0475 00 00 09"',), sms={"+32475000009": "hello"}),
    "two numbers": Row(("+32475000010", "+32475000011"), sms={"+32475000010": "hello", "+32475000011": "hello"}),
    "one number written twice": Row(("+32475000012", "0475000012"), sms={"+32475000012": "hello"}),
    "another address of the account": Row(("+32475000013",), sender="Jean@Home.example", sms={"+32475000013": "hello"}),
    "the subject where the body is empty": Row(("+32475000014",), text="", sms={"+32475000014": "Tonight"}),
    "cron": Row(("+32475000015",), header={"X_Cron_Env": "<SHELL=/bin/sh>"}, sms={"+32475000015": "hello"}),
    "automatic": Row(
        ("+32475000016",),
        header={"Auto_Submitted": "auto-generated", "Precedence": "bulk"},
        sms={"+32475000016": "hello"},
    ),
    "a Sieve notification for its owner": Row(
        ("+32475000017",),
        sender="",
        header={"Auto_Submitted": "auto-notified; owner-email=anna@example.org", "Precedence": "bulk"},
        sms={"+33": "", "+32475000017": "hello"},
    ),
    "a Sieve notification for its envelope sender": Row(
        ("+32475000018",), header={"Auto_Submitted": "auto-notified"}, sms={"+32475000018": "hello"}
    ),
}


@pytest.mark.parametrize("row", TAKEN.values(), ids=TAKEN)
async def test_what_is_taken_reaches_the_handset(house: Daemon, client: Client, row: Row) -> None:
    unique = f"{row.text} {next(_NUMBERS)}" if row.text else ""
    header = {"Subject": f"Tonight {next(_NUMBERS)}", **row.header, "Message-ID": f"<{next(_NUMBERS)}@example.org>"}
    replies = await client.send(mail(unique, **header), *addresses(row), sender=row.sender)
    assert {reply.rpartition(" ")[0] for reply in replies} == {"250 2.0.0 queued as"}
    assert len(set(replies)) == 1
    told = await house.settled(replies[0])
    assert told["text"] == (unique or header["Subject"])
    wanted = {number for number, text in row.sms.items() if text}
    assert {one["to"] for one in told["deliveries"]} == wanted
    assert all(house.texts(number).count(told["text"]) == 1 for number in wanted)


def addresses(row: Row) -> list[str]:
    return [one if "@" in one else f"{one}{AT}" for one in row.to]


REFUSED = {
    "a stranger": Row(sender="stranger@example.org", words=("550 5.7.1", "stranger@example.org", "no account")),
    "no number": Row(("family",), ("550 5.1.1", '"family" is not a telephone number', "like +32 4")),
    "too short": Row(("+3247512",), ("550 5.1.1", "+3247512 is too short", "Belgium", "+32 4")),
    "too long": Row(("+3247512345678",), ("550 5.1.1", "too long", "Belgium")),
    "no country code": Row(("+0475123456",), ("550 5.1.1", "no country code", "write +32 475 12 34 56")),
    "a fixed line": Row(("+3222123456",), ("550 5.1.1", "+32 2 212 34 56 is a fixed line")),
    "emergency": Row(("112",), ("550 5.1.1", "112 is an emergency number", "call it")),
    "premium": Row(("090712345",), ("550 5.1.1", "+32 907 12 345 is a premium-rate number")),
    "zero before the country code": Row(("032475123456",), ("550 5.1.1", "write +32 475 12 34 56")),
    "ambiguous": Row(
        ("3584012345",),
        ("550 5.1.1", "+358 40 12345 (Finland)", "+39 358 401 2345 (Italy)", "write the one you mean"),
        sender="luca@example.org",
    ),
    "north america": Row(
        ("+12025550123",), ("550 5.1.2", "+12025550123", "North American operators usually refuse", "handset")
    ),
    "another domain": Row(("+32475123456@example.org",), ("550 5.7.1", "example.org is not served here")),
    "nothing to say": Row(
        text="", header={"Subject": ""}, words=("550 5.6.0", "nothing an SMS could say", "Write the text")
    ),
    "no credit": Row(
        ("+32475123456", "+32475654321"),
        ("552 5.2.2", "2 units needed, 1 left", "nothing was sent"),
        sender="poor@example.org",
    ),
    "too many parts": Row(
        sender="brief@example.org", text="x" * 161, words=("552 5.3.4", "needs 2 SMS", "allows 1", "shorter")
    ),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_says_what_to_do(house: Daemon, client: Client, row: Row) -> None:
    before = house.centre.total
    replies = await client.send(mail(row.text, **row.header), *addresses(row), sender=row.sender)
    assert len(replies) == len(row.to)
    for reply in replies:
        plain = reply.replace(f"\n{reply[:3]}-{reply[4:9]}", "").replace(f"\n{reply[:9]}", "")
        assert plain.startswith(row.words[0])
        assert [word for word in row.words if word not in plain] == [], plain
    assert (await client.wire.say("NOOP")).startswith("250")
    assert house.centre.total == before


IGNORED = {
    "a null reverse-path": Row(sender=""),
    "an out-of-office answer": Row(header={"Auto_Submitted": "auto-replied (vacation)"}),
    "a report of ours": Row(header={"Tocsin_Origin": "report"}),
    "a notification for nobody": Row(sender="", header={"Auto_Submitted": "auto-notified"}),
}


@pytest.mark.parametrize("row", IGNORED.values(), ids=IGNORED)
async def test_what_is_ignored_is_taken_and_nothing_comes_of_it(house: Daemon, client: Client, row: Row) -> None:
    before = len(await house.messages())
    replies = await client.send(mail(**row.header), *addresses(row), sender=row.sender)
    assert [reply[:9] for reply in replies] == ["250 2.0.0"]
    assert "ignored" in replies[0]
    assert len(await house.messages()) == before


async def test_seen_again_is_answered_with_the_same_id_and_not_sent_again(house: Daemon, client: Client) -> None:
    octets = mail("once", Message_ID=f"<once.{next(_NUMBERS)}@example.org>")
    (first,) = await client.send(octets, f"+32475999000{AT}")
    (again,) = await client.send(octets, f"0475999000{AT}")
    assert again == first
    await house.settled(first)
    added = await client.send(octets, f"+32475999000{AT}", f"+32475999001{AT}")
    assert set(added) == {first}
    told = await house.settled(first)
    assert [one["to"] for one in told["deliveries"]] == ["+32475999000", "+32475999001"]


async def test_recipients_beyond_the_limit_come_in_another_mail(house: Daemon, client: Client) -> None:
    numbers = [f"+3247500010{n}{AT}" for n in range(5)]
    replies = await client.send(mail("many", Message_ID=f"<{next(_NUMBERS)}@example.org>"), *numbers)
    assert [reply[:9] for reply in replies] == ["250 2.0.0"] * 3 + ["452 4.5.3"] * 2
    assert "at most 3" in replies[-1]
    told = await house.settled(replies[0])
    assert [one["to"] for one in told["deliveries"]] == [one.removesuffix(AT) for one in numbers[:3]]


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("+320475000006", "has a 0 after the country code that does not belong there: write +32 475 00 00 06."),
        ("0475000006", ""),
        ("0032475000006", ""),
        ("+32475000006", ""),
    ],
)
async def test_what_is_taken_all_the_same_gets_advice(client: Client, written: str, advice: str) -> None:
    await client.wire.say("MAIL FROM:<jean@example.org>")
    reply = await client.wire.say(f"RCPT TO:<{written}{AT}>")
    assert reply == f"250 2.1.5 Recipient noted{f'. {written} {advice}' if advice else ''}"
    await client.wire.say("RSET")


async def test_of_several_recipients_the_good_ones_are_served(house: Daemon, client: Client) -> None:
    replies = await client.send(
        mail("some", Message_ID=f"<{next(_NUMBERS)}@example.org>"), f"rubbish{AT}", f"+32475000200{AT}"
    )
    assert [reply[:9] for reply in replies] == ["550 5.1.1", "250 2.0.0"]
    assert [one["to"] for one in (await house.settled(replies[1]))["deliveries"]] == ["+32475000200"]


async def test_while_the_store_is_away_nothing_is_taken_and_nothing_told(house: Daemon, client: Client) -> None:
    store = house.store_file
    away = store.rename(store.with_suffix(".away"))
    octets = mail("later", Message_ID=f"<{next(_NUMBERS)}@example.org>")
    try:
        replies = await client.send(octets, f"+32475000300{AT}", f"+32475000301{AT}")
        assert [reply[:9] for reply in replies] == ["451 4.3.0"] * 2
        assert not re.search(r"tocsin\.db|sqlite|store|[Ee]rror|Traceback|/", replies[0])
    finally:
        away.rename(store)
    replies = await client.send(octets, f"+32475000300{AT}", f"+32475000301{AT}")
    assert [reply[:9] for reply in replies] == ["250 2.0.0"] * 2
    await house.settled(replies[0])
