"""What a script comes to: whom it tells what, what it notes, what it found, what it asks to be remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from filters import evaluation
from filters.context import Context
from filters.mail import Mail
from filters.sieve import Remember, parse
from filters.verdict import Verdict
from tests.filters.sieve.conftest import here, look
from tests.filters.sieve.mails import ENCODED, MIXED, SIMPLE


def judged(script: str, mail: bytes = SIMPLE, **circumstances: Any) -> Verdict:
    return here(script, mail, **circumstances).verdict


def told(script: str, mail: bytes = SIMPLE, **circumstances: Any) -> list[tuple[str, str, str]]:
    return [(one.channel, one.to, one.text) for one in judged(script, mail, **circumstances).actions]


USUAL = "Jean Dupont: Urgent: the Report of March 2026"
NOTIFY = 'require ["enotify", "variables"];\n'


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sms:+32475123456", [("sms", "+32475123456", USUAL)]),
        ("SMS:+32-475-12.34(56)", [("sms", "+32475123456", USUAL)]),
        ("tel:+32475123456;ext=5", [("sms", "+32475123456", USUAL)]),
        ("tel:475-123456;phone-context=+32", [("sms", "+32475123456", USUAL)]),
        ("tel:0475123456", [("sms", "0475123456", USUAL)]),
        ("sms:%2B32475123456?body=a%20b%C3%A9%0Ac", [("sms", "+32475123456", "a bé\nc")]),
        ("sms:+32475123456,+32475654321", [("sms", "+32475123456", USUAL), ("sms", "+32475654321", USUAL)]),
        ("fax:+3222123456", [("fax", "+3222123456", USUAL)]),
        ("mailto:a@example.org", [("email", "a@example.org", USUAL)]),
        ("mailto:a%2Bb@example.org?body=Hello%20there&subject=s", [("email", "a+b@example.org", "Hello there")]),
        (
            "mailto:a@example.org,b@example.org?cc=c@example.org&to=d@example.org",
            [("email", f"{name}@example.org", USUAL) for name in "abcd"],
        ),
        ("sms:me", [("sms", "me", USUAL)]),
        ("sms:contact:Jean%20Dupont", [("sms", "contact:Jean Dupont", USUAL)]),
        ("mailto:list:oncall", [("email", "list:oncall", USUAL)]),
    ],
)
def test_a_uri_becomes_an_action_for_each_it_names(uri: str, expected: list[tuple[str, str, str]]) -> None:
    assert told(f'{NOTIFY}notify "{uri}";') == expected


def test_the_message_is_the_text_of_an_sms_and_the_subject_of_a_mail() -> None:
    script = NOTIFY + 'notify :message "said" "sms:+32475123456?body=not";'
    assert told(script) == [("sms", "+32475123456", "said")]
    (action,) = judged(NOTIFY + 'notify :message "said" "mailto:a@example.org?body=text&subject=no";').actions
    assert (action.subject, action.text) == ("said", "text")


def test_what_matched_can_be_told() -> None:
    script = NOTIFY + 'if header :matches "subject" "Urgent: *" { notify :message "! ${1}" "sms:+32475123456"; }'
    assert told(script) == [("sms", "+32475123456", "! the Report of March 2026")]


def test_no_line_break_of_a_header_reaches_a_subject() -> None:
    mail = b"Subject: =?utf-8?Q?a=0D=0ABcc:_x@y?=\n\n"
    script = NOTIFY + 'if header :matches "subject" "*" { notify :message "${1}" "mailto:a@example.org"; }'
    (action,) = judged(script, mail).actions
    assert "\n" not in action.subject
    assert "\r" not in action.text


def test_a_mail_may_fill_in_the_text_of_a_uri_and_never_adds_a_recipient() -> None:
    mail = b"Subject: x&to=evil@example.net&cc=evil@example.net\n\n"
    script = NOTIFY + 'if header :matches "subject" "*" { notify "mailto:a@example.org?body=${1}"; }'
    assert [one[:2] for one in told(script, mail)] == [("email", "a@example.org")]


def test_a_destination_may_stand_in_a_variable_that_the_owner_set() -> None:
    script = NOTIFY + 'set "who" "+32475123456"; set "uri" "sms:${who}"; notify "${uri}";'
    assert [one[1] for one in told(script)] == ["+32475123456"]


@pytest.mark.parametrize(
    "taken",
    [
        'if header :matches "subject" "*" { set "a" "${0}"; } notify "${a}";',
        'foreverypart { extracttext "a"; } notify "sms:${a}";',
        'if header :matches "subject" "*" { addflag "a" "${0}"; } notify "mailto:${a}@example.org";',
        'if header :matches "subject" "*" { set "b" "${1}"; set "a" "x${b}"; } notify "mailto:${A}@example.org";',
    ],
)
def test_a_mail_never_chooses_a_destination(taken: str) -> None:
    with pytest.raises(ValueError, match="written by you"):
        parse('require ["enotify", "variables", "foreverypart", "extracttext", "imap4flags"];' + taken)


def test_a_destination_that_turns_out_to_be_none_is_noted() -> None:
    verdict = judged(NOTIFY + 'set "a" "carrier:pigeon";\nnotify "${a}";')
    assert verdict.actions == ()
    assert verdict.notes[0].startswith('line 3: not notified: nothing can be sent to "carrier:"')


def test_the_same_twice_is_told_once() -> None:
    assert len(told(NOTIFY + 'notify "sms:+32475123456"; notify "tel:+32475123456";')) == 1


def test_the_actions_of_a_mail_server_are_noted_with_their_lines() -> None:
    script = (
        'require ["fileinto", "reject"];\nfileinto "Work";\nkeep;\nredirect "a@example.org";\ndiscard;\nreject "no";'
    )
    assert judged(script).notes == (
        'line 2: fileinto "Work" is not ours: no mail is filed here',
        "line 3: keep is not ours: no mail is filed here",
        'line 4: redirect "a@example.org" is not ours: no mail is passed on here',
        "line 5: discard is not ours: no mail is thrown away here",
        "line 6: reject is not ours: no mail is refused here",
    )


@pytest.mark.parametrize(
    ("script", "matched"),
    [
        ("", False),
        ("keep;", False),
        ('if header :contains "subject" "report" { keep; }', True),
        ('if header :contains "subject" "nothing" { keep; } else { discard; }', False),
        ('if header :contains "subject" "report" { stop; }', True),
        ('require "enotify"; notify "sms:+32475123456";', True),
    ],
)
def test_a_script_matches_where_it_tells_or_a_test_led_to_an_action(script: str, matched: bool) -> None:
    assert judged(script).matched is matched


def test_stop_ends_the_script_and_asks_no_filter_after_it() -> None:
    script = NOTIFY + 'if header :contains "subject" "report" { stop; } notify "sms:+32475123456";'
    verdict = judged(script)
    assert (verdict.stopped, verdict.actions) == (True, ())
    rules = [parse(script, "one"), parse(NOTIFY + 'notify "sms:+32475123456";', "two")]
    sight = look(SIMPLE)
    assert [one.filter for one in evaluation.evaluate(rules, sight.mail, sight.context, SIMPLE)] == ["one"]


def test_hits_and_misses_say_where_they_stand_and_what_was_there() -> None:
    script = (
        'if anyof(header :contains "subject" ["nothing",\n"x"], not\n  address :domain "from" "example.org") { keep; }'
    )
    verdict = judged(script)
    (miss,), (hit,) = verdict.misses, verdict.hits
    assert miss.document() == {
        "path": "line 1, column 10",
        "field": "header:subject",
        "op": "contains",
        "value": ["nothing", "x"],
        "found": "Urgent: the Report of March 2026",
    }
    assert (hit.path, hit.field, hit.value, hit.found) == (
        "line 3, column 3",
        "address:from:domain",
        "example.org",
        "Example.org",
    )


def test_tests_are_asked_no_further_than_needed() -> None:
    assert len(judged('if anyof(exists "from", exists "to") { keep; }').hits) == 1


# Circumstances


def test_lists_are_those_of_the_account() -> None:
    books = {
        "any": frozenset({"jean+news@example.org", "jane@example.com"}),
        "list:oncall": frozenset({"jane@example.com"}),
    }
    require = 'require ["extlists", "enotify", "variables"];'
    book = "urn:ietf:params:sieve:addrbook:default"
    script = f'{require} if address :list "from" "{book}" {{ notify :message "${{0}}" "sms:+32475123456"; }}'
    assert told(script, books=books) == [("sms", "+32475123456", "jean+news@Example.org")]
    script = f'{require} if address :list "from" "tag:example.org,2026:list:oncall" {{ notify "sms:me"; }}'
    assert told(script, books=books) == []
    script = script.replace('"from"', '["from", "to"]')
    assert len(told(script, books=books)) == 1
    assert parse(script).books == {"list:oncall"}
    missing = judged(script.replace("oncall", "nobody"), books=books)
    assert any("there is no list" in note for note in missing.notes)


def test_valid_ext_list_knows_which_lists_there_are() -> None:
    script = 'require "extlists"; if valid_ext_list "tag:example.org,2026:list:oncall" { stop; }'
    assert judged(script, books={"list:oncall": frozenset()}).stopped
    assert not judged(script).stopped


def test_a_duplicate_is_what_was_seen_before_and_what_is_new_is_handed_back() -> None:
    script = parse('require "duplicate"; if duplicate :handle "h" :seconds 60 :header "message-id" { stop; }')
    first = script.run(look(SIMPLE))
    assert (first.verdict.stopped, first.remember) == (False, (Remember("h", "<one@example.org>", 60),))
    again = script.run(look(SIMPLE), lambda handle, key: (handle, key) == ("h", "<one@example.org>"))
    assert (again.verdict.stopped, again.remember) == (True, ())


def test_where_nothing_is_remembered_a_duplicate_says_so() -> None:
    assert judged('require "duplicate"; if duplicate { stop; }').notes == (
        "line 1: duplicate is false: which mails came before is not known here",
    )


def test_an_expression_that_variables_make_impossible_ends_the_script_and_keeps_what_was_decided() -> None:
    verdict = judged(
        'require ["variables", "regex", "enotify"]; notify "sms:me"; set "a" "(";'
        ' if header :regex "subject" "${a}" { stop; }'
    )
    assert len(verdict.actions) == 1
    assert "regular expression" in verdict.notes[-1]


def test_with_last_a_duplicate_is_remembered_anew() -> None:
    script = parse('require "duplicate"; if duplicate :last :uniqueid "u" { stop; }')
    assert script.run(look(SIMPLE), lambda handle, key: True).remember == (Remember("", "u", 7 * 24 * 3600, True),)


def test_a_mail_without_an_id_is_no_duplicate() -> None:
    outcome = parse('require "duplicate"; if duplicate { stop; }').run(look(b"Subject: a\n\n"), lambda *_: True)
    assert (outcome.verdict.stopped, outcome.remember) == (False, ())


@pytest.mark.parametrize(("authserv_id", "value"), [("mx.example.org", "5"), (None, "0"), ("other.example", "0")])
def test_spamtest_believes_only_the_trusted_field(authserv_id: str | None, value: str) -> None:
    script = f'require "spamtest"; if spamtest "{value}" {{ stop; }}'
    assert judged(script, authserv_id=authserv_id).stopped


def test_the_null_sender_is_an_empty_address() -> None:
    script = 'require "envelope"; if envelope "from" "" { stop; }'
    assert judged(script, envelope_from="").stopped
    assert not judged(script, envelope_from=None).stopped


def test_unicode_casemap_tells_no_case_apart_and_keeps_what_matched() -> None:
    require = 'require ["comparator-i;unicode-casemap", "variables", "enotify"];'
    test = 'header :matches :comparator "i;unicode-casemap" "subject" "H\u00c9LLO W\u00d6*"'
    script = f'{require} if {test} {{ notify :message "${{1}}" "sms:me"; }}'
    assert told(script, ENCODED) == [("sms", "me", "rld   two  spaces and a fold")]


def test_the_text_of_a_part_can_be_told() -> None:
    script = (
        'require ["foreverypart", "mime", "extracttext", "variables", "enotify"]; foreverypart {'
        ' if header :mime :contenttype "content-type" "text/plain"'
        ' { extracttext :first 7 "t"; notify :message "${t}" "sms:me"; break; } }'
    )
    assert told(script, MIXED) == [("sms", "me", "Plain w")]


def test_a_script_says_what_of_a_mail_it_looks_at() -> None:
    assert parse('if header "a" "b" { keep; }').needs == {"headers"}
    assert parse('require "mime"; if exists :mime :anychild "a" { keep; }').needs == {"headers", "structure"}
    assert parse('require "body"; if body "a" { keep; }').needs == {"headers", "structure", "body"}


def test_the_size_is_that_of_the_mail_where_only_its_header_is_at_hand() -> None:
    header = SIMPLE.partition(b"\n\n")[0] + b"\n\n"
    mail = replace(Mail.read(header), size=5000)
    (verdict,) = evaluation.evaluate([parse("if size :over 4K { stop; }")], mail, look(SIMPLE).context, header)
    assert verdict.stopped


def test_without_the_octets_of_a_mail_its_header_and_text_are_looked_at() -> None:
    script = parse('require "body"; if allof(header :contains "subject" "report", body :contains "ready") { stop; }')
    sight = look(SIMPLE)
    (verdict,) = evaluation.evaluate([script], Mail.read(SIMPLE), Context(now=sight.context.now))
    assert verdict.stopped
