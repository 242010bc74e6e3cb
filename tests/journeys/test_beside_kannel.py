"""The measurement beside Kannel measures: both gateways take everything, all of it comes, and a kill is counted."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "bench" / "beside_kannel.py"
KANNEL, TOCSIN = "Kannel, file store", "Tocsin, SQLite"


async def measure(*options: str) -> dict[str, Any]:
    """What the script prints; it ends with a failure where anything was refused or did not come."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), "--json", *options, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    printed, said = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, said.decode()
    found: dict[str, Any] = json.loads(printed)
    return found


@pytest.mark.peer("kannel")
@pytest.mark.peer("node-smpp")
@pytest.mark.timeout(300)
async def test_all_of_two_hundred_messages_come_through_kannel_and_through_tocsin() -> None:
    found = await measure("--messages", "200", "--rounds", "1", "--seconds", "0.4", "--only", KANNEL, TOCSIN)
    assert found["runs"].keys() == {KANNEL, TOCSIN}
    for (run,) in found["runs"].values():
        assert run["flood"]["rate"] > 0
        assert run["flood"]["cpu"] > 0
        assert 0 < run["steady"]["p50"] <= run["steady"]["p99"]
        assert run["memory"] > 5
    parked, resent = (found["crashes"][f"Tocsin, on_unknown = {rule}"] for rule in ("park", "resend"))
    assert parked["crash"]["taken"] > 0
    assert parked["crash"]["doubled"] == 0
    assert parked["lost"] == resent["lost"] == 0
    assert parked["faults"] == resent["faults"] == []
