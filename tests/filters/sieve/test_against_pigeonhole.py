"""The same scripts on the same mails, here and in Pigeonhole: what comes of them is the same.

Where Pigeonhole does otherwise than the RFCs say, the scripts made here keep away from it; `test_deviations.py` has
each of these places by name.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from filters.sieve import Outcome
from tests.filters.sieve.conftest import ZONE, here
from tests.filters.sieve.mails import ENCODED, HANDMADE, MADE
from tests.filters.sieve.scripts import ACTING_SCRIPTS, LOGGING_SCRIPTS, REQUIRE, of_characters
from tests.peers.pigeonhole import Pigeonhole, Ran

pytestmark = pytest.mark.peer("pigeonhole")

MAILS = st.sampled_from(list(HANDMADE.values())) | MADE
#: Every run makes the same scripts.
SAME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def logged(outcome: Outcome) -> tuple[str, ...]:
    return tuple(str(one.given[0]) for one in outcome.done if one.call.name == "fileinto")


@settings(SAME, max_examples=100)
@given(script=LOGGING_SCRIPTS, mail=MAILS)
def test_tests_and_variables_come_out_alike(pigeonhole: Pigeonhole, script: str, mail: bytes) -> None:
    script = of_characters(script) if mail is ENCODED else script
    ours = here(REQUIRE.format(more="") + script.replace("LOG ", "fileinto "), mail)
    theirs = pigeonhole.run(
        REQUIRE.format(more=', "vnd.dovecot.debug"') + script.replace("LOG ", "debug_log "), mail, zone=ZONE
    )
    assert theirs.refused == (), theirs.output
    assert logged(ours) == theirs.logged, ours.verdict.notes


@settings(SAME, max_examples=100)
@given(script=ACTING_SCRIPTS, mail=MAILS)
def test_actions_come_out_alike(pigeonhole: Pigeonhole, script: str, mail: bytes) -> None:
    whole = REQUIRE.format(more="") + (of_characters(script) if mail is ENCODED else script)
    theirs = pigeonhole.run(whole, mail, zone=ZONE)
    assert theirs.refused == (), theirs.output
    assert performed(here(whole, mail)) == performed_there(theirs), theirs.output


Performed = tuple[frozenset[str], list[tuple[str, frozenset[str]]]]


def performed(outcome: Outcome) -> Performed:
    """What a mail server would do, by RFC 5228 section 2.10: files, and whether the implicit keep stands."""
    did: set[str] = set()
    kept = True
    for one in outcome.done:
        name = one.call.name
        copy = "copy" in one.call.tags
        if name == "fileinto":
            did.add(f"file {one.given[0]}")
        elif name == "keep":
            did.add("file INBOX")
        elif name == "redirect":
            did.add(f"redirect {one.given[0]}")
        elif name == "discard":
            did.add("discard")
        kept &= copy or name not in ("fileinto", "keep", "redirect", "discard")
    did.discard("discard")
    notified: dict[str, set[str]] = {}
    for action in outcome.verdict.actions:
        notified.setdefault(action.subject, set()).add(action.to)
    return frozenset(did | ({"implicit keep"} if kept else set())), sorted(
        (subject, frozenset(to)) for subject, to in notified.items()
    )


def performed_there(ran: Ran) -> Performed:
    did = {f"file {one}" for one in ran.filed}
    did |= {re.sub("redirect message to: <(.*)>", r"redirect \1", one) for one in ran.others if one != "discard"}
    return frozenset(did), sorted((subject, frozenset(to)) for _, subject, to in ran.notified)
