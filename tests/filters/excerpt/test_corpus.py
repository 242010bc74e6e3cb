"""Every mail of the corpus says its sender's own words, no word less and nothing else."""

from __future__ import annotations

import pytest
from corpus_mails.cases import Case, cases

from filters.excerpt import excerpt
from filters.mail import Mail
from filters.punctuation import plain

CASES = tuple(cases())


def test_the_corpus_is_a_corpus() -> None:
    """A few hundred mails, no two of them alike, none with a name twice."""
    assert len({case.octets for case in CASES}) == len(CASES) >= 500
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mail_says_its_senders_own_words(case: Case) -> None:
    assert excerpt(Mail.read(case.octets)).text == plain(case.own)
