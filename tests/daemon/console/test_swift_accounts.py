"""Whose messages go the short way, and that each is counted, limited and told of once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.console.rates import Rates
from gateway import accounts, credit, optouts, tokens
from gateway.store.errors import StoreError
from tests.daemon.console.conftest import MESSAGES, Console, failing, running
from tests.daemon.console.ways import Answer, Held, Line, request
from tests.peers.daemon_process import until

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}


async def ask(line: Line, octets: bytes) -> Answer:
    """The answer to one more request."""
    before = len(await line.answers(0))
    await line.feed(octets)
    return (await line.answers(before + 1))[-1]


def events(caplog: pytest.LogCaptureFixture, action: str) -> list[dict[str, Any]]:
    return [vars(one) for one in caplog.records if getattr(one, "action", "") == action]


@pytest.fixture
def gone(console: Console) -> list[bool]:
    """Whether each whole request went the short way; tokens are forgotten as ever."""
    begin, found = console.server.begin, []
    assert begin is not None

    def noted(*told: Any) -> bool:
        found.append(begin(*told))
        return found[-1]

    console.server.begin = noted
    return found


# Tokens ---------------------------------------------------------------------------------------------------------------


async def test_a_token_that_was_not_looked_up_yet_goes_the_usual_way_once(console: Console, gone: list[bool]) -> None:
    line = Line(console.server)
    for _ in range(3):
        assert (await ask(line, request(console.tokens["ann"], WELL))).status == 202
    assert gone == [False, True, True]
    line.close()


async def test_a_token_that_was_revoked_stops_working_within_two_seconds(console: Console, gone: list[bool]) -> None:
    line, loop = Line(console.server), asyncio.get_running_loop()
    octets = request(console.tokens["bob"], WELL)
    assert [(await ask(line, octets)).status for _ in range(2)] == [202, 202]
    await console.run(lambda connection: tokens.revoke(connection, "test", "bob", now=datetime.now(UTC)))
    revoked, taken = loop.time(), 0
    while (await ask(line, octets)).status == 202:
        taken += 1
        assert loop.time() - revoked < 2.5
        await asyncio.sleep(0.04)
    assert taken > 1
    assert gone == [False] + [True] * (taken + 1) + [False]
    assert (await ask(line, octets)).status == 401
    line.close()


async def test_a_token_that_cannot_be_looked_up_again_is_believed_for_two_seconds(
    console: Console, gone: list[bool]
) -> None:
    line, loop = Line(console.server), asyncio.get_running_loop()
    octets = request(console.tokens["ann"], WELL)
    assert [(await ask(line, octets)).status for _ in range(2)] == [202, 202]
    with failing(console, "read", StoreError("away")):
        away = loop.time()
        while (answer := await ask(line, octets)).status == 202:
            assert loop.time() - away < 2.5
            await asyncio.sleep(0.04)
    assert answer.status == 503
    assert gone[1:] == [True] * (len(gone) - 2) + [False]
    line.close()


async def test_an_account_that_was_changed_is_so_within_moments(console: Console, gone: list[bool]) -> None:
    line, loop = Line(console.server), asyncio.get_running_loop()
    octets = request(console.tokens["ann"], {**WELL, "text": "ten words " * 20})
    assert [(await ask(line, octets)).status for _ in range(2)] == [202, 202]
    await console.run(
        lambda connection: accounts.change(connection, "ann", now=datetime.now(UTC), settings={"max_parts": 1})
    )
    changed = loop.time()
    while (answer := await ask(line, octets)).status == 202:
        assert loop.time() - changed < 2.5
        await asyncio.sleep(0.04)
    assert answer.status == 422
    assert gone.count(True) > 1
    line.close()


async def test_the_account_went_meanwhile(console: Console, short: list[bool]) -> None:
    await console.run(lambda connection: accounts.remove(connection, "brief"))
    line = Line(console.server)
    assert (await ask(line, request(console.tokens["brief"], WELL))).status in (401, 422)
    assert short == [True]
    line.close()


# What must be asked of the store --------------------------------------------------------------------------------------


async def test_a_message_with_a_key_is_taken_once(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    octets = request(console.tokens["ann"], WELL, "Idempotency-Key: order-1042")
    first, again = await ask(line, octets), await ask(line, octets)
    assert first.body == again.body
    other = request(console.tokens["ann"], {**WELL, "text": "Lunch?"}, "idempotency-key: order-1042")
    assert (await ask(line, other)).status == 409
    assert short == []
    assert len((await console.client().get(MESSAGES)).json()["messages"]) == 1
    line.close()


async def test_as_soon_as_anybody_has_opted_out_everybody_is_looked_at(console: Console, gone: list[bool]) -> None:
    line, loop = Line(console.server), asyncio.get_running_loop()
    octets = request(console.tokens["ann"], WELL)
    assert [(await ask(line, octets)).status for _ in range(2)] == [202, 202]
    now, ann = datetime.now(UTC), await console.run(lambda connection: accounts.find(connection, "ann").id)
    await console.run(lambda connection: optouts.add(connection, ann, WELL["sms"], now=now))
    out = loop.time()
    while (answer := await ask(line, octets)).status == 202:
        assert loop.time() - out < 2.5
        await asyncio.sleep(0.04)
    assert answer.status == 422
    assert gone.count(True) > 1
    line.close()


async def test_names_and_addresses_go_the_usual_way(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    for more in (
        {"sms": [*WELL["sms"], "jean"]},
        {"email": ["jean@example.org"]},
        {"lists": ["all"]},
        {"fax": ["+322"]},
    ):
        assert (await ask(line, request(console.tokens["ann"], {**WELL, **more}))).status == 422
    assert short == [False] * 4
    line.close()


# Limits and credit ----------------------------------------------------------------------------------------------------


async def test_a_rate_counts_each_request_once(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Counter[int] = Counter()
    wait = Rates.wait

    def noted(self: Rates, account: int, rate: float, now: float) -> float:
        counted[account] += 1
        return wait(self, account, rate, now)

    monkeypatch.setattr(Rates, "wait", noted)
    async with running(tmp_path, template, rate=1000.0) as console:
        line = Line(console.server)
        for _ in range(5):
            assert (await ask(line, request(console.tokens["ann"], WELL))).status == 202
        assert list(counted.values()) == [5]
        line.close()


async def test_a_rate_holds_for_whole_requests(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path, template, rate=0.001) as console:
        line = Line(console.server)
        answers = [await ask(line, request(console.tokens["ann"], WELL)) for _ in range(4)]
        assert [one.status for one in answers] == [202, 429, 429, 429]
        assert int(answers[1].fields["retry-after"]) > 1
        assert (await ask(line, request(console.tokens["bob"], WELL))).status == 202
        line.close()


async def test_each_message_is_charged_once(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    statuses = [(await ask(line, request(console.tokens["poor"], WELL))).status for _ in range(3)]
    assert statuses == [202, 402, 402]
    left = await console.run(
        lambda connection: credit.show(connection, accounts.find(connection, "poor").id, datetime.now(UTC))
    )
    assert left["left"] == 0
    assert short == [True] * 3
    line.close()


# What is counted and told ---------------------------------------------------------------------------------------------


async def test_each_request_is_counted_once(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    refused = request(console.tokens["poor"], {**WELL, "sms": ["+32475123456", "+32475123457"]})
    for _ in range(3):
        await ask(line, request(console.tokens["ann"], WELL))
    await ask(line, refused)
    await ask(line, request(console.tokens["ann"], {}))
    measures = console.house.measures
    await until(lambda: measures.requests.total() == 5)
    assert measures.requests == {(MESSAGES, 202): 3, (MESSAGES, 402): 1, (MESSAGES, 422): 1}
    told = (await console.client().get("/metrics")).text
    assert f'tocsin_http_requests_total{{path="{MESSAGES}",status="202"}} 3.0' in told
    assert f'tocsin_http_requests_total{{path="{MESSAGES}",status="402"}} 1.0' in told
    assert f'tocsin_http_requests_total{{path="{MESSAGES}",status="422"}} 1.0' in told
    assert f'tocsin_http_request_seconds_count{{path="{MESSAGES}"}} 5.0' in told
    assert 'tocsin_messages_accepted_total{origin="api"} 3.0' in told
    assert console.server.state.total_requests == 5 + 1
    assert short == [True] * 4 + [False]
    line.close()


async def test_how_long_it_took_is_from_the_request_to_its_answer(
    console: Console, held: Held, short: list[bool]
) -> None:
    line, loop = Line(console.server), asyncio.get_running_loop()
    await line.feed(request(console.tokens["ann"], WELL))
    began = loop.time()
    await held.asked()
    await until(lambda: loop.time() - began > 0.1)
    held.let_go()
    await line.answers(1)
    told = (await console.client().get("/metrics")).text
    (seconds,) = [one.split()[1] for one in told.splitlines() if one.startswith("tocsin_http_request_seconds_sum")]
    assert 0.1 <= float(seconds) < 20
    assert short == [True]
    line.close()


async def test_a_message_that_was_taken_is_told_of_at_debug(
    console: Console, short: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(console.server)
    caplog.set_level("INFO")
    await ask(line, request(console.tokens["ann"], WELL))
    assert events(caplog, "message_taken") == []
    caplog.set_level("DEBUG")
    answer = await ask(line, request(console.tokens["ann"], WELL))
    (told,) = events(caplog, "message_taken")
    assert told["levelname"] == "DEBUG"
    assert told["message_id"] == answer.document["id"]
    assert told["request"] == answer.fields["x-request-id"]
    assert events(caplog, "request_refused") == []
    assert short == [True, True]
    line.close()


async def test_a_refusal_is_told_of_at_info(
    console: Console, short: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(console.server)
    caplog.set_level("INFO")
    many = {**WELL, "sms": ["+32475123456", "+32475123457"]}
    answers = [
        await ask(line, request(console.tokens["poor"], many)),
        await ask(line, request(console.tokens["ann"], {**WELL, "sms": ["0475"]})),
    ]
    await until(lambda: len(events(caplog, "request_refused")) == 2)
    told = [(one["request"], one["status"], one["path"]) for one in events(caplog, "request_refused")]
    assert told == [(one.fields["x-request-id"], one.status, MESSAGES) for one in answers]
    assert {one["levelname"] for one in events(caplog, "request_refused")} == {"INFO"}
    for secret in ("32475123456", "0475", "Dinner", console.tokens["poor"]):
        assert secret not in caplog.text
    assert short == [True, False]
    line.close()


async def test_no_two_requests_have_the_same_id(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    well, ill = request(console.tokens["ann"], WELL), request(console.tokens["ann"], {})
    answers = [await ask(line, octets) for octets in (well, ill, well, well, ill)]
    numbers = [int(one.fields["x-request-id"].partition("-")[2]) for one in answers]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert len({one.fields["x-request-id"].partition("-")[0] for one in answers}) == 1
    line.close()
