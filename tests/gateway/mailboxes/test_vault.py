"""Secrets at rest: they open for what they were sealed for, with a key that is still there, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.failure import RefusedError
from gateway.vault import Bound, SealedError, Vault

OLD, NEW = "an old line of thirty-two characters", "a new line of thirty-two characters!"
FOR = Bound(7, "mailbox", "imap.example.org", 993, "implicit", "jean")


def test_what_is_sealed_opens_again() -> None:
    vault = Vault([OLD])
    assert vault.open(vault.seal(b"secret", FOR), FOR) == b"secret"


@pytest.mark.parametrize(
    "change",
    [
        {"owner": 8},
        {"kind": "calendar"},
        {"host": "imap.example.com"},
        {"port": 143},
        {"tls": "none"},
        {"user": "jeanne"},
    ],
)
def test_for_another_use_the_secret_is_gone(change: dict[str, object]) -> None:
    vault = Vault([OLD])
    sealed = vault.seal(b"secret", FOR)
    with pytest.raises(SealedError, match="another owner, host, port, TLS mode or user"):
        vault.open(sealed, replace(FOR, **change))  # type: ignore[arg-type]


def test_every_line_opens_and_the_first_seals() -> None:
    sealed = Vault([OLD]).seal(b"secret", FOR)
    both = Vault([NEW, OLD])
    assert both.open(sealed, FOR) == b"secret"
    assert both.is_old(sealed)
    assert not both.is_old(both.seal(b"secret", FOR))


def test_a_key_that_was_taken_away_is_named_as_the_reason() -> None:
    sealed = Vault([OLD]).seal(b"secret", FOR)
    with pytest.raises(SealedError, match="not in \\[store\\] secret_file any more"):
        Vault([NEW]).open(sealed, FOR)


def test_without_a_key_nothing_is_stored() -> None:
    with pytest.raises(RefusedError, match="secret_file"):
        Vault([]).seal(b"secret", FOR)


def test_two_seals_of_one_secret_differ() -> None:
    vault = Vault([OLD])
    assert vault.seal(b"secret", FOR) != vault.seal(b"secret", FOR)


@given(octets=st.binary(max_size=60))
def test_octets_that_were_never_sealed_do_not_open(octets: bytes) -> None:
    with pytest.raises(SealedError):
        Vault([OLD]).open(octets, FOR)


@given(at=st.integers(0, 200), mask=st.integers(1, 255))
def test_no_changed_octet_goes_unnoticed(at: int, mask: int) -> None:
    vault = Vault([OLD])
    sealed = bytearray(vault.seal(b"secret", FOR))
    sealed[at % len(sealed)] ^= mask
    with pytest.raises(SealedError):
        vault.open(bytes(sealed), FOR)
