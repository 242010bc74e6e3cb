"""Peers for the journeys: each is started for the file of tests that asks for it, and stopped after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.peers.postfix import Postfix, absent


@pytest.fixture(scope="module")
def postfix() -> Iterator[Callable[[str], Postfix]]:
    """Start a Postfix that relays sms.example.org to a next hop: `postfix("inet:127.0.0.1:24")`."""
    reason = absent()
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{reason}: make peers installs it")
    started: list[Postfix] = []

    def start(next_hop: str) -> Postfix:
        made = Postfix(next_hop)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.stop()
