"""kill -9 at any moment under load on PostgreSQL: nothing is lost, nothing comes twice, the credit is exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.peers.daemon_process import DaemonProcess, operator
from tests.peers.kill_rounds import Rounds
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp

pytestmark = [
    pytest.mark.peer("node-smpp"),
    pytest.mark.peer("postgresql"),
    pytest.mark.timeout(240),
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
]

Serve = Callable[..., DaemonProcess]


async def test_with_park_nothing_comes_twice(serve: Serve, centre: NodeSmpp, books: Books) -> None:
    daemon = serve([operator(centre.port, on_unknown="park", unknown_wait="PT1S")])
    rounds = Rounds(daemon, centre, books)
    await rounds.run(3)
    await rounds.parked()


async def test_with_resend_everything_comes(serve: Serve, centre: NodeSmpp, books: Books) -> None:
    daemon = serve([operator(centre.port, on_unknown="resend", unknown_wait="PT1S")])
    rounds = Rounds(daemon, centre, books)
    await rounds.run(2)
    await rounds.resent()
