"""The same scripts on the same mails, here and in Pigeonhole: what comes of them is the same.

Where Pigeonhole does otherwise than the RFCs say, the scripts made here keep away from it; `test_deviations.py` has
each of these places by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.context import Context
from filters.mail import Mail
from filters.sieve import Outcome, parse
from filters.sight import Sight
from tests.filters.sieve.mails import HANDMADE
from tests.filters.sieve.scripts import REQUIRE, acting_scripts, logging_scripts, of_characters
from tests.peers import presence
from tests.peers.pigeonhole import Pigeonhole, Ran

pytestmark = pytest.mark.peer("pigeonhole")

#: Without summer time: Pigeonhole holds that the offset of today is that of every day.
ZONE = "Asia/Kolkata"
MAILS = sorted(HANDMADE)
#: Every run makes the same scripts.
SAME = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def pigeonhole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pigeonhole]:
    presence.require("pigeonhole")
    yield Pigeonhole(tmp_path_factory.mktemp("sieve"))


def here(script: str, mail: bytes) -> Outcome:
    now = datetime.now(ZoneInfo(ZONE))
    score = "".join(line.split()[1] for line in mail.decode("latin-1").splitlines() if line.startswith("X-Score: "))
    results = f"Authentication-Results: mx.example.org; x-spam=pass policy.score={score}\n".encode() if score else b""
    context = Context(
        now, envelope_from="sender@example.org", envelope_to=("me@example.org",), authserv_id="mx.example.org"
    )
    sight = Sight(Mail.read(results + mail), context, mail)
    return parse(script).run(sight)


def logged(outcome: Outcome) -> tuple[str, ...]:
    return tuple(str(one.given[0]) for one in outcome.done if one.call.name == "fileinto")


@settings(SAME, max_examples=300)
@given(script=logging_scripts(), name=st.sampled_from(MAILS))
def test_tests_and_variables_come_out_alike(pigeonhole: Pigeonhole, script: str, name: str) -> None:
    mail = HANDMADE[name]
    script = of_characters(script) if name == "encoded" else script
    ours = here(REQUIRE.format(more="") + script.replace("LOG ", "fileinto "), mail)
    theirs = pigeonhole.run(
        REQUIRE.format(more=', "vnd.dovecot.debug"') + script.replace("LOG ", "debug_log "), mail, zone=ZONE
    )
    assert theirs.refused == (), theirs.output
    assert logged(ours) == theirs.logged, f"{name}: {ours.verdict.notes}"


@settings(SAME, max_examples=150)
@given(script=acting_scripts(), name=st.sampled_from(MAILS))
def test_actions_come_out_alike(pigeonhole: Pigeonhole, script: str, name: str) -> None:
    mail = HANDMADE[name]
    whole = REQUIRE.format(more="") + (of_characters(script) if name == "encoded" else script)
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
    did |= {one.replace("redirect message to: ", "redirect ") for one in ran.others if one != "discard"}
    return frozenset(did), sorted((subject, frozenset(to)) for _, subject, to in ran.notified)
