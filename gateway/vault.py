"""Secrets at rest: sealed with AES-256-GCM, bound to what they are for, so that they open for nothing else.

The key of a seal is derived (HKDF-SHA-256, RFC 5869) from a line of `[store] secret_file`; the first line seals, all
open. A seal begins with eight octets that tell its key, then a nonce of twelve, then text and tag (RFC 5116). What a
secret is for (`Bound`) is its associated data: change the host of a mailbox in the database, and the secret is gone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.failure import RefusedError

_NAME, _NONCE = 8, 12


class SealedError(RefusedError):
    """A secret does not open: another key, another use, or changed octets."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a secret is for: its owner's id, the kind of thing, and where it may be shown."""

    owner: int
    kind: str
    host: str
    port: int
    tls: str
    user: str

    def octets(self) -> bytes:
        """As associated data; no two uses have the same."""
        return json.dumps(["tocsin", 1, *astuple(self)], ensure_ascii=True).encode()


class Vault:
    """Seals and opens, with the keys of one configuration."""

    def __init__(self, lines: Sequence[str]) -> None:
        """`lines` are those of the secret file, the one that seals first; without any, nothing seals and opens."""
        self._keys = {self._key_name(line): self._cipher(line) for line in lines}
        self._first = self._key_name(lines[0]) if lines else None

    def seal(self, secret: bytes, bound: Bound) -> bytes:
        """The sealed secret; `RefusedError` where there is no key."""
        if self._first is None:
            raise RefusedError(
                "a password cannot be stored without a key: name a file with 32 random characters or more as "
                "[store] secret_file, such as openssl rand -base64 48 makes"
            )
        nonce = os.urandom(_NONCE)
        return self._first + nonce + self._keys[self._first].encrypt(nonce, secret, bound.octets())

    def open(self, sealed: bytes, bound: Bound) -> bytes:
        """The secret; `SealedError` says why it does not open."""
        name, nonce, text = sealed[:_NAME], sealed[_NAME : _NAME + _NONCE], sealed[_NAME + _NONCE :]
        key = self._keys.get(name)
        if key is None:
            raise SealedError(
                "its password was sealed with a key that is not in [store] secret_file any more: bring the key back, "
                "or give the password again"
            )
        try:
            return key.decrypt(nonce, text, bound.octets())
        except (InvalidTag, ValueError):
            raise SealedError(
                "its password was stored for another owner, host, port, TLS mode or user: give the password again"
            ) from None

    def is_old(self, sealed: bytes) -> bool:
        """Whether another key than the first sealed it: it should be sealed anew before that key is taken away."""
        return sealed[:_NAME] != self._first

    @staticmethod
    def _key_name(line: str) -> bytes:
        return hashlib.sha256(b"tocsin key name\0" + line.encode()).digest()[:_NAME]

    @staticmethod
    def _cipher(line: str) -> AESGCM:
        return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"tocsin store secrets").derive(line.encode()))
