"""The SMPP link in a capture, read by tshark: a decoder nobody here wrote."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest


@contextlib.asynccontextmanager
async def captured(port: int, file: Path) -> AsyncIterator[None]:
    """Everything on this port, in a file once the block is left, which is when both have said goodbye."""
    if os.geteuid() != 0:
        pytest.skip("capturing the link needs root")
    process = await asyncio.create_subprocess_exec(
        "tcpdump", "-i", "lo", "-U", "--immediate-mode", "-w", file, f"tcp port {port}",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    heard = (await process.stderr.readline()).decode()
    if "listening" not in heard:
        heard += (await process.stderr.read()).decode()
        pytest.skip(f"this kernel lets nobody capture: {heard}")
    try:
        yield
        async with asyncio.timeout(10):  # until the goodbye is in the file
            while not tshark(file, port, "smpp.command_id == 0x80000006", "frame.number"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()


def tshark(file: Path, port: int, filtering: str, *fields: str) -> list[list[str]]:
    """For each frame the filter lets through, these fields; many values of one are joined by backticks."""
    wanted = [word for field in fields for word in ("-e", field)]
    said = tshark_says(file, port, "-Y", filtering, "-T", "fields", "-E", "aggregator=`", *wanted)
    return [line.split("\t") for line in said.split("\n") if line]


def tshark_says(file: Path, port: int, *options: str) -> str:
    """What it prints."""
    command = ["tshark", "-2", "-r", str(file), "-d", f"tcp.port=={port},smpp"]
    command += ["-o", "smpp.decode_sms_over_smpp:GSM 7-bit", *options]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return done.stdout.decode(errors="replace")  # it writes surrogates one by one


def joined(frames: Sequence[Sequence[str]], column: int) -> list[str]:
    """Every value of one column."""
    return [value for frame in frames for value in frame[column].split("`") if value]
