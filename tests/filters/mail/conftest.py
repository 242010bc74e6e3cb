"""Mails written short."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from filters.excerpt import Excerpt, excerpt
from filters.mail import Mail


@pytest.fixture
def read() -> Callable[[bytes | str], Mail]:
    """Read a mail written with plain line breaks."""

    def reader(octets: bytes | str) -> Mail:
        raw = octets.encode() if isinstance(octets, str) else octets
        return Mail.read(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    return reader


@pytest.fixture
def said(read: Callable[[bytes | str], Mail]) -> Callable[[bytes | str], Excerpt]:
    """What is worth saying of a mail written with plain line breaks."""
    return lambda octets: excerpt(read(octets))
