"""Peers for the journeys: each is started for the test that asks for it, and stopped after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from ..peers import postfix as postfix_peer


@pytest.fixture
def postfix() -> Iterator[Callable[[str], postfix_peer.Postfix]]:
    """Start a Postfix that relays sms.example.org to a next hop: `postfix("inet:127.0.0.1:24")`."""
    reason = postfix_peer.absent()
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{reason}: make peers")
    started: list[postfix_peer.Postfix] = []

    def start(next_hop: str) -> postfix_peer.Postfix:
        made = postfix_peer.Postfix(next_hop)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.stop()
