"""Where Pigeonhole does otherwise than the RFCs say: each place, shown on Pigeonhole itself, and what is done here.

The scripts that `test_against_pigeonhole.py` makes keep away from these. Where a newer Pigeonhole does as the RFCs say,
the test of it fails, and its entry goes.
"""

from __future__ import annotations

import pytest

from tests.filters.sieve.conftest import ZONE, here
from tests.filters.sieve.mails import HANDMADE
from tests.filters.sieve.scripts import REQUIRE
from tests.filters.sieve.test_against_pigeonhole import logged
from tests.peers.pigeonhole import Pigeonhole

pytestmark = pytest.mark.peer("pigeonhole")

#: What, the mail, the test, and whether it is true here; there it is not so.
DEVIATIONS = {
    "string compares as i;ascii-casemap unless told otherwise (RFC 5228 section 2.7.3)": (
        "simple",
        'string "A" "a"',
        True,
    ),
    "a ? stands for a character, not for an octet (RFC 5228 section 2.7.1)": (
        "simple",
        'string :matches "é" "?"',
        True,
    ),
    "a dot of a regular expression stands for a character": ("simple", 'string :regex "é" "^.$"', True),
    "two strings that begin with no number are equal as i;ascii-numeric, empty or not (RFC 4790 section 9.1.1)": (
        "simple",
        'string :is :comparator "i;ascii-numeric" "" "x"',
        True,
    ),
    ":index limits which fields :count counts, and does not leave none (RFC 5260 section 6)": (
        "simple",
        'header :index 1 :count "eq" :comparator "i;ascii-numeric" "subject" "1"',
        True,
    ),
    ":index before :zone counts (RFC 5260 section 6)": (
        "simple",
        'date :index 2 :zone "+0000" :matches "date" "date" "*"',
        False,
    ),
    "a parameter that is missing has no value, not an empty one (RFC 5703 section 4.1)": (
        "mixed",
        'header :mime :param "nosuch" :matches "content-type" "*"',
        False,
    ),
    "an address field that is empty has no address, not an empty one (RFC 5228 section 5.1)": (
        "empty",
        'address :matches "to" "*"',
        False,
    ),
    "a mailto: may name several, with commas (RFC 6068 section 2)": (
        "simple",
        'valid_notify_method "mailto:a@example.org,b@example.org"',
        True,
    ),
    "an SMS can be sent (RFC 5724)": ("simple", 'valid_notify_method "sms:+32475123456"', True),
}


@pytest.mark.parametrize("what", DEVIATIONS)
def test_a_deviation_of_pigeonhole_is_still_one(pigeonhole: Pigeonhole, what: str) -> None:
    name, test, expected = DEVIATIONS[what]
    mail = {**HANDMADE, "empty": b"To:\nSubject: a\n\n"}[name]
    ours = here(f'{REQUIRE.format(more="")}if {test} {{ fileinto "yes"; }}', mail)
    theirs = pigeonhole.run(f'{REQUIRE.format(more="")}if {test} {{ fileinto "yes"; }}', mail, zone=ZONE)
    assert theirs.refused == (), theirs.output
    assert (logged(ours) == ("yes",)) is expected
    assert ("yes" in theirs.filed) is not expected


def test_the_offset_of_a_zone_is_that_of_the_date_not_of_today(pigeonhole: Pigeonhole) -> None:
    mail = b"Date: Wed, 15 Jul 2026 12:00:00 +0000\n\n"
    other = b"Date: Thu, 15 Jan 2026 12:00:00 +0000\n\n"
    script = REQUIRE.format(more="") + 'if date :matches "date" "hour" "*" { fileinto "${0}"; }'
    there = {pigeonhole.run(script, one, zone="Europe/Brussels").filed for one in (mail, other)}
    assert len(there) == 1


def test_small_letters_are_made_of_all_capitals(pigeonhole: Pigeonhole) -> None:
    script = REQUIRE.format(more="") + 'set :lower "a" "ÀB"; fileinto "${a}";'
    assert logged(here(script, HANDMADE["simple"])) == ("àb",)
    assert pigeonhole.run(script, HANDMADE["simple"]).filed == ("Àb",)


def test_what_is_asked_beside_a_constant_is_asked(pigeonhole: Pigeonhole) -> None:
    # Pigeonhole reckons anyof(…, true) to be true before it runs, so what would match first sets no ${1}.
    script = REQUIRE.format(more="") + 'if anyof(header :matches "subject" "U*", true) { fileinto "x${1}"; }'
    assert logged(here(script, HANDMADE["simple"])) == ("xrgent: the Report of March 2026",)
    assert pigeonhole.run(script, HANDMADE["simple"]).filed == ("x",)


def test_two_notifications_to_one_mailbox_are_two(pigeonhole: Pigeonhole) -> None:
    script = REQUIRE.format(more="") + (
        'notify :message "one" "mailto:a@example.org"; notify :message "two" "mailto:a@example.org";'
    )
    assert len(here(script, HANDMADE["simple"]).verdict.actions) == 2
    assert len(pigeonhole.run(script, HANDMADE["simple"]).notified) == 1
