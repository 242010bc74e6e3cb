"""The whole corpus: every program and every surrounding, in every language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from corpus_mails import programs, surroundings
from corpus_mails.building import octets
from corpus_mails.words import LANGUAGES, Words, read

#: How often each program answers in each language, each time with other own words and another of its forms.
TURNS = 3


@dataclass(frozen=True)
class Case:
    """A mail, and the words of it that are its sender's own."""

    name: str
    octets: bytes
    own: str


def cases() -> Iterator[Case]:
    """All mails of the corpus, always the same ones in the same order."""
    number = 0
    for language in LANGUAGES:
        words = read(language)
        for answer in programs.ANSWERS:
            for turn in range(TURNS):
                own = words.pick("own", turn)
                draft = answer(words, own, turn)
                yield Case(f"{language}: {draft.program} {turn}", octets(draft, words, number), own)
                number += 1
        for kind in _KINDS:
            for name, draft, own in kind(words):
                yield Case(f"{language}: {name}", octets(draft, words, number), own)
                number += 1


_KINDS: tuple[Callable[[Words], Iterator[surroundings.Expected]], ...] = (
    surroundings.signed,
    surroundings.disclaimed,
    surroundings.forwarded,
    surroundings.whole,
)
