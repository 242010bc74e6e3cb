"""What journeys share: the peers they need, each stopped after whoever asked for it, and where a daemon lives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.daemon_process import DaemonProcess
from tests.peers.ledgers import Books, add_payers
from tests.peers.node_smpp import NodeSmpp
from tests.peers.postfix import Postfix
from tests.peers.presence import require

pytest.register_assert_rewrite("tests.peers.kill_rounds")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        require(mark.args[0])


@pytest.fixture(scope="module")
def postfix() -> Iterator[Callable[..., Postfix]]:
    """Start a Postfix that relays sms.example.org to a next hop: `postfix("inet:127.0.0.1:24", "more = settings")`."""
    started: list[Postfix] = []

    def start(next_hop: str, *settings: str) -> Postfix:
        made = Postfix(next_hop, *settings)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.stop()


@pytest.fixture
async def centre() -> AsyncIterator[NodeSmpp]:
    """An SMS centre nobody here wrote."""
    async with NodeSmpp() as one:
        yield one


@pytest.fixture
def books(database: str) -> Books:
    """The store with its payers, to be looked into beside the daemon."""
    add_payers(database)
    return Books(database)


@pytest.fixture
async def serve(tmp_path: Path, books: Books, database: str) -> AsyncIterator[Callable[..., DaemonProcess]]:
    """Makes daemons on the test's store; whatever still runs at its end is killed."""
    made: list[DaemonProcess] = []

    def make(routes: list[dict[str, object]], **listen: object) -> DaemonProcess:
        folder = tmp_path / f"daemon{len(made)}"
        folder.mkdir()
        made.append(DaemonProcess(folder, database, routes, **listen))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None:
            await one.kill()
