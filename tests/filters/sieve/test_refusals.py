"""What cannot be run is refused, with the line and a sentence; Pigeonhole refuses the same, and takes what is taken."""

from __future__ import annotations

import pytest

from filters.criteria import FilterError
from filters.sieve import SieveError, parse
from filters.sieve.lexer import LONGEST
from tests.filters.sieve.mails import SIMPLE
from tests.peers.pigeonhole import Pigeonhole

REQUIRE = (
    'require ["fileinto", "enotify", "variables", "date", "index", "relational", "regex", "envelope", "body", "mime",'
    ' "foreverypart", "duplicate", "subaddress", "comparator-i;ascii-numeric", "imap4flags", "copy", "vacation"];\n'
)

#: Scripts below REQUIRE, the line that is wrong in them (REQUIRE is line 1), and a word the sentence has.
REFUSED = [
    ("keep", 2, "semicolon"),
    ("if true\n{ keep;\n", 3, "never closed"),
    ("keep;\n}", 3, "}"),
    ('if header "a" { keep; }', 2, "2 arguments"),
    ('if header :is :contains "a" "b" { keep; }', 2, ":contains"),
    ('if header :is\n :is "a" "b" { keep; }', 3, "twice"),
    ('if header "a"\n5 { keep; }', 3, "number"),
    ('if header :nosuch "a" "b" { keep; }', 2, ":nosuch"),
    ('if header "a" :is "b" { keep; }', 2, "tags come first"),
    ('if header :comparator "i;nosuch" "a" "b" { keep; }', 2, "i;nosuch"),
    ('if header :contains :comparator "i;ascii-numeric" "a" "b" { keep; }', 2, "whole numbers"),
    ('if header :value "about" "a" "b" { keep; }', 2, '"gt"'),
    ('if header :regex "a" "(b" { keep; }', 2, "regular expression"),
    ('if header :regex "a" ["b",\n"c{2,1}"] { keep; }', 3, "regular expression"),
    ('if header :regex "a" "(?:b)" { keep; }', 2, "POSIX"),
    ('if header :last "a" "b" { keep; }', 2, ":index"),
    ('if header :index 0 "a" "b" { keep; }', 2, "from 1"),
    ('if address "subject" "b" { keep; }', 2, "no addresses"),
    ("if size 5 { keep; }", 2, ":over"),
    ("if size :over :under 5 { keep; }", 2, ":under"),
    ("if anyof(true,) { keep; }", 2, "test is due"),
    ("if anyof() { keep; }", 2, "test is due"),
    ("if anyof true { keep; }", 2, "parentheses"),
    ("if not (true) { keep; }", 2, "one test"),
    ("if keep { keep; }", 2, "no test"),
    ("if nosuch { keep; }", 2, "no test"),
    ("true;", 2, "test"),
    ("nosuch;", 2, "no such command"),
    ("keep 5;", 2, "no argument"),
    ("stop { keep; }", 2, "block"),
    ("if true keep;", 2, "block"),
    ("else { keep; }", 2, "does not follow"),
    ("if true { keep; } keep; elsif true { keep; }", 2, "does not follow"),
    ("if true { keep; } else { keep; } else { keep; }", 2, "else"),
    ('keep;\nrequire "fileinto";', 3, "beginning"),
    ('set "1" "b";', 2, "name of a variable"),
    ('set "a b" "b";', 2, "name of a variable"),
    ('set :lower :upper "a" "b";', 2, ":upper"),
    ("break;", 2, "foreverypart"),
    ('foreverypart :name "x" { break :name "y"; }', 2, '"y"'),
    ('if header :type "content-type" "text" { keep; }', 2, ":mime"),
    ('notify "carrier:pigeon";', 2, "sms:"),
    ('notify "nowhere";', 2, "no method"),
    ('notify :importance "5" "mailto:a@example.org";', 2, ":importance"),
    ('notify :message "a"\n:message "b" "mailto:a@example.org";', 3, "twice"),
    ('fileinto "a\n\nb;', 2, "never ends"),
    ("/* keep;", 2, "*/"),
    ("keep; $", 2, "no word"),
    ("keep; 12x;", 2, "no word"),
    ("keep 99999999999999999999999;", 2, "too large"),
    ("if true { " * 40 + "keep;" + "}" * 40, 2, "deeper"),
    ("if " + "not " * 40 + "true { keep; }", 2, "deeper"),
]

#: Scripts with their own require.
REFUSED_WHOLE = [
    ('require "nosuch";', 1, '"nosuch"'),
    ("require;", 1, "string"),
    ('require "vnd.dovecot.execute";', 1, "vnd.dovecot.execute"),
    ('fileinto "a";', 1, '"fileinto"'),
    ('\nif header :regex "a" "b" { keep; }', 2, '"regex"'),
    ('if header :comparator "i;ascii-numeric" "a" "1" { keep; }', 1, "comparator-i;ascii-numeric"),
    ('require "mime";\nforeverypart { keep; }', 2, '"foreverypart"'),
    ('require "spamtest";\nif spamtest :percent "5" { keep; }', 2, '"spamtestplus"'),
    ('require ["extracttext"];\nkeep;', 1, '"foreverypart"'),
]

#: What Pigeonhole only warns of, or cannot know, and is refused here.
REFUSED_HERE = [
    ('if header "sub ject" "b" { keep; }', 2, "header field"),
    ('if date "date" "hours" "b" { keep; }', 2, '"hours"'),
    ('if currentdate :zone "CET" "hour" "b" { keep; }', 2, '"CET"'),
    ('if envelope "auth" "b" { keep; }', 2, '"auth"'),
    ('if header :regex "a" "(b)\\\\1" { keep; }', 2, "RE2"),
    ('if header :regex "a" "((a{100}){100}){100}" { keep; }', 2, "regular expression"),
    ('if header :regex "a" "(a{100}){100}" { keep; }', 2, "regular expression"),
    ('notify "sms:nobody";', 2, "no destination"),
    ('notify "mailto:";', 2, "nobody"),
    ('if header :matches "subject" "*" { notify "mailto:${1}"; }', 2, "written by you"),
    (
        'if header :matches "subject" "*" { set "a" "${1}"; set "b" "x${A}"; notify "mailto:${b}@example.org"; }',
        2,
        "you",
    ),
    ('set "a" "${32}";', 2, "31"),
    ('set "a" "${other.space}";', 2, "other.space"),
    ("keep;\0", 2, "NUL"),
]


@pytest.mark.parametrize(
    ("script", "line", "word"), [*((REQUIRE + one[0], *one[1:]) for one in REFUSED), *REFUSED_WHOLE]
)
@pytest.mark.peer("pigeonhole")
def test_what_cannot_be_run_is_refused_with_its_line_here_and_there(
    pigeonhole: Pigeonhole, script: str, line: int, word: str
) -> None:
    with pytest.raises(SieveError) as refused:
        parse(script)
    assert (refused.value.line, word in refused.value.problem) == (line, True), refused.value
    assert pigeonhole.run(script, SIMPLE).refused != ()


@pytest.mark.parametrize(("script", "line", "word"), REFUSED_HERE)
def test_what_could_never_work_is_refused(script: str, line: int, word: str) -> None:
    with pytest.raises(SieveError) as refused:
        parse(REQUIRE + script)
    assert (refused.value.line, word in refused.value.problem) == (line, True), refused.value


@pytest.mark.parametrize(
    "name", ["include", "environment", "ihave", "replace", "enclose", "virustest", "vnd.dovecot.x"]
)
def test_an_extension_that_cannot_be_run_is_refused_by_name(name: str) -> None:
    with pytest.raises(SieveError, match=f'line 2: the extension "{name}" cannot be run: .'):
        parse(f'\nrequire ["fileinto",\n"{name}"];')


def test_a_refusal_is_one_of_a_filter_and_names_its_line_as_path() -> None:
    with pytest.raises(FilterError, match=r"^line 3: nosuch: there is no such command$") as refused:
        parse("keep;\n\nnosuch;")
    assert refused.value.path == "line 3"


def test_a_script_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(SieveError, match="octets"):
        parse("#" * (LONGEST + 1))


@pytest.mark.parametrize(
    "piece", ["if true {", "if not ", "if anyof(", "[", '"', "text:\n", "/*", "(", "{", "require "]
)
def test_a_script_of_one_thing_over_and_over_is_refused_quickly(piece: str) -> None:
    with pytest.raises(SieveError):
        parse(piece * (LONGEST // len(piece)))


def test_there_may_be_no_more_than_two_thousand_tests() -> None:
    with pytest.raises(SieveError, match="2000 tests"):
        parse("if true { keep; }\n" * 2001)


#: Scripts that are taken, here and there.
TAKEN = [
    "",
    "keep;;"[:5],
    "# only a comment\n",
    "/* a\ncomment */ keep;",
    "\ufeffkeep;"[1:],
    'require "fileinto";\r\nfileinto\r\n"A";\r\n',
    'require ["fileinto"]; require "reject";\nif true { reject text:\nno\n..dots\n.\n; } else { fileinto "a"; }',
    'require "reject"; reject text: # why\nbecause\n.\n;',
    "if size :over 2G { discard; }",
    "IF TRUE { KEEP; } ELSIF NOT FALSE { STOP; } ELSE { }",
    'if header :IS :COMPARATOR "i;octet" ["a", "b"] "c" {}',
    'require "vacation"; vacation :days 7 :addresses ["a@example.org"] :subject "s" "gone";',
    'require ["imap4flags", "variables"];'
    ' addflag "\\\\Seen"; setflag "v" ["a", "b"]; if hasflag "a" { keep :flags "c"; }',
    'require ["editheader"]; addheader :last "X-A" "b";'
    ' deleteheader :index 1 :contains "X-B" ["c"]; deleteheader "X-C";',
    'require ["mailbox", "fileinto"]; if mailboxexists "a" { fileinto :create "a"; }',
    'require ["foreverypart", "mime", "variables", "extracttext"]; foreverypart :name "o" {'
    ' foreverypart { extracttext :upper :first 5 "t"; break :name "o"; } }',
    'require "encoded-character"; if header "a" "${hex: 24 24}${unicode:40}${no}" { keep; }',
    'require ["spamtestplus", "relational", "comparator-i;ascii-numeric"];'
    ' if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "40" { discard; }',
    'require ["enotify", "variables"]; set :encodeurl "a" "b";'
    ' notify :from "a@example.org" :options ["x=y"] "mailto:a@b.c";',
    'require "enotify"; if notify_method_capability "mailto:a@b.c" "online" "maybe" { keep; }',
    'require ["regex", "variables"]; if header :regex :comparator "i;octet" "a" ["^b{1,3}$", "[[:alpha:]]", "${v}"] {}',
]


@pytest.mark.parametrize("script", TAKEN)
@pytest.mark.peer("pigeonhole")
def test_what_pigeonhole_takes_is_taken(pigeonhole: Pigeonhole, script: str) -> None:
    assert pigeonhole.run(script, SIMPLE).refused == ()
    assert parse(script).text == script
