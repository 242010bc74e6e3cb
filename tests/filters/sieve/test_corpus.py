"""The mails of many programs in many languages, each held against one long script, here and in Pigeonhole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from filters.sieve.dates import PARTS
from tests.filters.sieve.conftest import ZONE, here
from tests.filters.sieve.scripts import REQUIRE
from tests.filters.sieve.test_against_pigeonhole import logged
from tests.peers.pigeonhole import Pigeonhole

sys.path.insert(0, str(Path(__file__).parents[1] / "excerpt"))

from corpus_mails.cases import Case, cases

FIELDS = "subject from to cc date message-id received content-type list-id reply-to references x-mailer".split()  # noqa: SIM905
WORDS = ["the", "merci", "http", "Re:", "--", "@", "Von:", "2026", "=", "html", "div"]
TRANSFORMS = [":raw", ":text", ':content "text"', ':content ""', ':content "message"', ':content "multipart"']
NUMBER = ':comparator "i;ascii-numeric"'


def _tests() -> list[tuple[str, str]]:
    """Tests, and what to show where one is true."""
    address = [
        (f'address {part} :matches "{field}" "*"', "${0}")
        for field in ("from", "to", "cc", "reply-to", "sender")
        for part in (":all", ":localpart", ":domain", ":user", ":detail")
    ]
    mime = [
        (f'header :mime :anychild {option} :contains ["content-type", "content-disposition"] "{word}"', "")
        for option in ("", ":type", ":subtype", ":contenttype", ':param ["name", "filename"]')
        for word in ("text", "html", "pdf", "mixed", ".", "x")
    ]
    return [
        *((f'header :matches "{field}" "*"', "${0}") for field in FIELDS),
        *((f'header :count "ge" {NUMBER} "{field}" "2"', "") for field in FIELDS),
        *address,
        *((f'address :count "gt" {NUMBER} "{field}" "1"', "") for field in ("from", "to", "cc")),
        *((f'date :originalzone :matches "date" "{part}" "*"', "${0}") for part in PARTS),
        *((f'body {transform} :contains "{word}"', "") for transform in TRANSFORMS for word in WORDS),
        *mime,
        *((f"size :over {size}", "") for size in ("500", "1K", "2K", "4K")),
    ]


LOOP = (
    'foreverypart { if header :mime :matches "content-type" "*" { LOG "part|${0}"; } else { LOG "part"; }'
    ' if header :mime :matches "subject" "*" { LOG "subject|${0}"; } }'
)
SCRIPT = "\n".join(f'if {test} {{ LOG "{n}|{shown}"; }}' for n, (test, shown) in enumerate(_tests())) + "\n" + LOOP
CASES = tuple(cases())[::17]


@pytest.mark.peer("pigeonhole")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mail_is_looked_at_alike(pigeonhole: Pigeonhole, case: Case) -> None:
    ours = here(REQUIRE.format(more="") + SCRIPT.replace("LOG ", "fileinto "), case.octets)
    theirs = pigeonhole.run(
        REQUIRE.format(more=', "vnd.dovecot.debug"') + SCRIPT.replace("LOG ", "debug_log "), case.octets, zone=ZONE
    )
    assert theirs.refused == (), theirs.output
    assert logged(ours) == theirs.logged
