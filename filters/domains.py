"""Domain names as trust compares them: equal to the letter, or of one organisation (RFC 7489 section 3.1)."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_LONGEST = 253


def canonical(domain: str) -> str:
    """The domain with its labels in ASCII and lower case (RFC 5890); empty for what is no domain name.

    Nothing is mapped but the case of ASCII letters. A label that only looks like another, or that a kinder reader
    would turn into it (full-width letters, capitals with accents), stays another, or is none.
    """
    return _canonical(domain) if len(domain) <= _LONGEST else ""


@lru_cache(1024)
def _canonical(domain: str) -> str:
    labels = [_ascii_label(label) for label in domain.split(".")]
    joined = ".".join(labels)
    return joined if all(labels) and len(joined) <= _LONGEST else ""


def _ascii_label(label: str) -> str:
    if label.isascii():
        lower = label.lower()
    else:
        if unicodedata.normalize("NFC", label) != label or label.lower() != label or not _is_word(label):
            return ""
        lower = "xn--" + label.encode("punycode").decode("ascii")
    return lower if _LABEL.match(lower) else ""


def _is_word(label: str) -> bool:
    return all(mark == "-" or unicodedata.category(mark)[0] in "LMN" for mark in label)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organisation(domain: str) -> str:
    """The organisational domain of a canonical domain: one label more than its public suffix (RFC 7489 section 3.2).

    Empty for a public suffix, under which strangers live side by side.
    """
    return _suffixes().privatesuffix(domain) or ""


def aligned(one: str, other: str) -> bool:
    """Whether two canonical domains are the same, or of the same organisation (relaxed alignment)."""
    if one == other:
        return bool(one)
    owner = organisation(one)
    return bool(owner) and owner == organisation(other)
