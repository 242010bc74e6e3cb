"""Whatever a script and a mail are, a run ends soon, and what was decided until then stands."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.sieve import SieveError, parse
from filters.sieve.machine import FINDINGS, NOTICES
from tests.filters.sieve.conftest import look

REQUIRE = 'require ["regex", "body", "variables", "mime", "foreverypart", "enotify", "index", "relational"];\n'
#: Seconds that a run may take on a slow and busy machine.
SOON = 8.0

LONG = b"Subject: " + b"a" * 50_000 + b"!\nFrom: a@example.org\n\n" + b"a" * 300_000 + b"\n"
PARTS = (
    b"Content-Type: multipart/mixed; boundary=b\n\n"
    + b"--b\nContent-Type: text/plain; name=x\n\nhello\n" * 5000
    + b"--b--\n"
)
NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2000))
MAILS = {"long": LONG, "parts": PARTS, "nested": NESTED}

SCRIPTS = [
    'if header :regex "subject" "(a+)+$" { stop; }',
    'if header :regex "subject" "(a|aa)*(a|aa)*(a|aa)*b" { set "x" "${1}"; }',
    f'if header :matches "subject" "{"*a" * 1000}*b" {{ stop; }}',
    f'if body :matches "{"*?a" * 1000}*b" {{ stop; }}',
    f'if body :raw :contains "{"a" * 4000}b" {{ stop; }}',
    "".join(f'if body :regex "{n}(a|b)*c{n}" {{ stop; }}\n' for n in range(300)),
    'set "x" "abc";' + 'set "x" "${x}${x}${x}${x}";' * 100,
    "foreverypart { foreverypart { foreverypart {"
    ' if header :mime :anychild :contains "content-type" "x" { keep; } } } }',
    'foreverypart { if header :mime :anychild :param "name" :contains "content-type" "x" { notify "sms:me"; } }',
    "foreverypart { " + 'if body :contains "zzz" { stop; } ' * 200 + "}",
]


@pytest.mark.parametrize("mail", MAILS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_hostile_script_on_a_hostile_mail_ends_soon(script: str, mail: str) -> None:
    sight = look(MAILS[mail])
    ready = parse(REQUIRE + script)
    before = time.process_time()
    ready.run(sight)
    assert time.process_time() - before < SOON


def test_a_run_that_is_ended_says_so_and_keeps_what_was_decided() -> None:
    script = REQUIRE + 'notify "sms:me";\n' + "".join(f'if body :regex "{n}(a|b)*c" {{ stop; }}\n' for n in range(500))
    verdict = parse(script).judge(look(LONG))
    assert len(verdict.actions) == 1
    assert "the script was ended: it looks at more of this mail than is allowed" in verdict.notes


def test_a_mail_makes_no_more_than_so_many_notifications() -> None:
    many = "".join(f'notify "sms:+3247512{n:04d}";\n' for n in range(NOTICES + 5))
    verdict = parse(REQUIRE + many).judge(look(LONG))
    assert len(verdict.actions) == NOTICES
    assert any("are the most that one mail makes" in note for note in verdict.notes)


def test_no_more_than_so_many_tests_are_listed() -> None:
    verdict = parse(REQUIRE + "foreverypart { if anyof(" + ", ".join(['exists "x"'] * 20) + ") { stop; } }").judge(
        look(PARTS)
    )
    assert len(verdict.hits) + len(verdict.misses) == FINDINGS


PIECES = st.sampled_from(
    ["if", "header", "(", ")", "{", "}", "[", "]", ";", ",", '"a"', ":is", ":comparator", "5K", "keep", "not", "allof",
     "text:\n", ".\n", "#", "/*", "*/", "require", '"fileinto"', "foreverypart", "${1}", "\\", '"', "true",
     "\u00e9", "\0"]
)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=25).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_script_or_refused_with_a_line_it_has(text: str) -> None:
    try:
        parse(text)
    except SieveError as error:
        refused = error
    else:
        return
    assert 1 <= refused.line <= text.count("\n") + 1
    assert refused.problem


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.binary(max_size=400))
def test_any_octets_can_be_looked_at(octets: bytes) -> None:
    script = parse(
        REQUIRE + 'if anyof(body :raw "x", body :content "" "x", header :mime :anychild "content-type" "x",'
        ' address :matches "from" "?*") { foreverypart { notify "sms:me"; } }'
    )
    assert not any("defect" in note for note in script.judge(look(octets)).notes)
