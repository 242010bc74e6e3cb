"""/healthz, /readyz, and what `status` says of the console."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx

from gateway import presence
from gateway.store.errors import StoreError
from tests.daemon.console.conftest import Console, failing, is_problem, running


async def test_the_process_lives_and_is_ready(console: Console) -> None:
    stranger = console.client(None)
    assert (await stranger.get("/healthz")).json() == {"status": "ok"}
    ready = (await stranger.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert "console" in ready["roles"]


async def test_it_is_not_ready_while_its_store_is_away_but_lives(console: Console) -> None:
    stranger = console.client(None)
    with failing(console, "read", StoreError("the database server is stopping")):
        found = is_problem(await stranger.get("/readyz"), 503)
        assert "the database server is stopping" in found["detail"]
        assert (await stranger.get("/healthz")).status_code == 200
    assert (await stranger.get("/readyz")).status_code == 200


async def test_it_is_not_ready_when_nothing_can_be_recorded(console: Console) -> None:
    stranger = console.client(None)
    console.house.board.set("store", "store", "down", "3 answers cannot be recorded, nothing more is sent: disk full")
    assert "cannot be recorded" in is_problem(await stranger.get("/readyz"), 503)["detail"]


async def test_it_is_not_ready_when_its_heart_has_stopped(console: Console) -> None:
    before = console.house._beat
    console.house._beaten(before - 60)
    (why,) = console.house._hinders()
    console.house._beaten(before)
    assert "nothing could be written to the store for 6" in why
    assert console.house._hinders() == []


async def test_status_tells_of_the_console(console: Console) -> None:
    lines = await console.run(lambda connection: presence.status(connection, told=console.house.board.reports()))
    (line,) = [one for one in lines if (one.kind, one.name) == ("listener", "http")]
    assert line.state == "up"
    assert console.house.bound["http"][0] in line.why


async def test_it_serves_at_a_unix_socket_as_well(tmp_path: Path, template: Path) -> None:
    where = tmp_path / "http.sock"
    async with running(tmp_path, template, listen=f"unix:{where}", metrics_networks=["unix"]) as console:
        assert console.house.bound["http"] == [f"unix:{where}"]
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(where)), base_url="http://x") as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/metrics")).status_code == 200
    assert not where.exists()


async def test_it_serves_at_a_socket_that_systemd_opened(tmp_path: Path, template: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        address = "{}:{}".format(*own.getsockname())
        async with running(tmp_path, template, sockets={"http": [own]}, listen="systemd:http") as console:
            assert console.house.bound["http"] == [address]
            assert (await console.client(None).get("/healthz")).status_code == 200
