"""swaks, a client nobody here wrote, sends over SMTP, STARTTLS and LMTP."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.daemon.listener.conftest import House, Start

pytestmark = pytest.mark.peer("swaks")


async def swaks(bound: str, *arguments: str) -> tuple[int, str]:
    """Run swaks against the listener: its exit code and what it said."""
    found = shutil.which("swaks")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("swaks is absent: make peers installs it")
    host, _, port = bound.rpartition(":")
    recipients = "32475123456@sms.example.org,0475654321@sms.example.org"
    command = [found, "--server", host, "--port", port, "--from", "jean@example.org", "--to", recipients, *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, stdin=asyncio.subprocess.DEVNULL
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_swaks_is_served(start: Start, house: House, protocol: str) -> None:
    bound = await start(protocol)
    code, said = await swaks(bound, "--protocol", protocol, "--body", "from swaks\n.leading dot", "--h-Subject", "s")
    assert code == 0, said
    assert said.count("250 2.0.0 queued as") == (2 if protocol == "lmtp" else 1)
    assert house.taken[0].text == "from swaks\n.leading dot"
    assert len(house.taken[0].recipients) == 2


async def test_swaks_is_served_over_tls(start: Start, house: House) -> None:
    bound = await start(tls=True)
    code, said = await swaks(bound, "--tls", "--body", "secret")
    if "Net::SSLeay" in said and os.environ.get("CI") != "true":
        pytest.skip("libnet-ssleay-perl is absent: make peers installs it")
    assert code == 0, said
    assert "TLS started with cipher TLSv1" in said
    assert house.taken[0].text == "secret"


async def test_swaks_is_told_why_not(start: Start, house: House) -> None:
    code, said = await swaks(await start(), "--from", "stranger@example.org")
    assert code == 26  # after DATA: it might have been a notification, which says itself whose it is
    assert "550 5.7.1 stranger@example.org belongs to no account here" in said
    assert not house.taken
