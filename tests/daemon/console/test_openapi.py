"""The OpenAPI document: whole, valid, and true of every answer that is given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from daemon.console import openapi
from daemon.console.operations import OPERATIONS
from tests.daemon.console.conftest import MESSAGES, Console, running

DOCUMENT = openapi.document()


def validator(name: str) -> jsonschema_rs.Validator:
    """Of one schema of the document."""
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


# The document ---------------------------------------------------------------------------------------------------------


async def test_the_document_is_served_to_everybody(console: Console) -> None:
    answer = await console.client(None).get("/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    found: set[str] = set()

    def walk(value: Any) -> None:
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(one)
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            found.add(value["$ref"])

    walk(DOCUMENT)
    there = {
        f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in DOCUMENT["components"][kind]
    }
    assert found == there


def test_its_examples_are_what_it_says_they_are() -> None:
    for operation in OPERATIONS:
        if operation.examples:
            assert operation.body is not None
            validator(operation.body.__name__).validate(operation.examples["request"])
            validator(operation.answer.__name__).validate(operation.examples["answer"])


async def test_what_is_answered_is_what_the_document_says(console: Console, ann: httpx.AsyncClient) -> None:
    wanted = {"sms": ["+32475123456", "+32475123457"], "text": "ten words " * 20}
    taken = (await ann.post(MESSAGES, json=wanted)).json()
    validator("MessageTaken").validate(taken)
    await console.settled(ann, taken["id"])
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = (await ann.post(MESSAGES, json={**wanted, "at": at})).json()
    many = {"sms": [f"+32475{n:06d}" for n in range(1, 1002)], "text": "x", "at": at}
    large = (await ann.post(MESSAGES, json=many)).json()
    validator("MessageTaken").validate(large)
    for message in (taken, later, large):
        path = f"{MESSAGES}/{message['id']}"
        validator("MessageStory").validate((await ann.get(path)).json())
        validator("DeliveryPage").validate((await ann.get(f"{path}/deliveries")).json())
    validator("MessagePage").validate((await ann.get(MESSAGES)).json())
    validator("Credit").validate((await ann.get("/api/v1/credit")).json())
    for answer in (await ann.post(MESSAGES, json={"sms": ["x"]}), await ann.get("/x"), await ann.delete(MESSAGES)):
        validator("ProblemDocument").validate(answer.json())


# Anything -------------------------------------------------------------------------------------------------------------


class Served:
    """A console in a thread of its own, for a client that waits."""

    def __init__(self, folder: Path, template: Path) -> None:
        self._folder = folder
        self._template = template
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._done: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.base = ""
        self.token = ""

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        async with running(self._folder, self._template) as console:
            self.base, self.token = console.base, console.tokens["ann"]
            async with console.client() as client:
                await client.post(MESSAGES, json={"sms": ["+32475123456"], "text": "the first"})
                self._ready.set()
                await self._done.wait()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(40)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("console"), template) as one:
        yield one


schema = schemathesis.openapi.from_dict(DOCUMENT)


@schema.parametrize()
@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_nothing_a_client_may_send_is_a_server_error(case: schemathesis.Case, served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.token}"}
    response = case.call(base_url=served.base, headers=headers)
    # What is well formed may still be refused, for a text is no number that gets an SMS; and what was meant to be wrong
    # may be written as nothing at all on its way. Both are looked at one by one in test_sending and test_asking.
    beside = [positive_data_acceptance, negative_data_rejection]
    case.validate_response(response, excluded_checks=beside, headers=headers)
