"""What journeys share: the peers they need, each stopped after whoever asked for it, and where a daemon lives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.daemon_process import DaemonProcess, operator
from tests.peers.dovecot_imap import PASSWORD, DovecotImap, certify
from tests.peers.ledgers import Books, add_payers
from tests.peers.node_smpp import NodeSmpp
from tests.peers.postfix import Postfix
from tests.peers.presence import require
from tests.peers.watched import KEY

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


# Watched mailboxes

BOSS = {
    "name": "boss",
    "source": "all",
    "when": {"field": "from", "op": "is", "value": "boss@corp.example"},
    "actions": [{"sms": ["+32475123456"], "text": "{from_name}: {subject}"}],
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certify(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def dovecot(certificate: tuple[Path, Path]) -> Iterator[DovecotImap]:
    one = DovecotImap(*certificate)
    one.start()
    yield one
    one.remove()


@pytest.fixture
def house(
    serve: Callable[..., DaemonProcess],
    centre: NodeSmpp,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., DaemonProcess]:
    """Makes daemons that may watch loopback, trust the certificate, and have a key for passwords."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    (tmp_path / "store.key").write_text(KEY + "\n")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "boss.json").write_text(json.dumps(BOSS))

    def make(*more: dict[str, object], **listen: object) -> DaemonProcess:
        daemon = serve([operator(centre.port), *more], **listen)
        daemon.config["store"]["secret_file"] = str(tmp_path / "store.key")
        daemon.config["watch"] = {"allow_private_hosts": True, "poll": "PT1M"}
        daemon.config["log"]["level"] = "info"
        daemon.write()
        return daemon

    return make
