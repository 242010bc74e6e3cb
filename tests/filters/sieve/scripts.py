"""Scripts made by chance from a grammar of what is offered. `LOG "…"` stands for an action that shows its string.

What a test says is mostly taken from the mails it will be tried on, so that about as many are true as false.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from filters.sieve.dates import PARTS

REQUIRE = (
    'require ["variables", "envelope", "body", "relational", "comparator-i;ascii-numeric", "subaddress", "date",'
    ' "index", "regex", "mime", "foreverypart", "spamtest", "spamtestplus", "duplicate", "enotify",'
    ' "encoded-character", "fileinto", "imap4flags", "copy"{more}];\n'
)

FIELDS = ["Subject", "from", "To", "X-A", "X-B", "x-priority", "X-Number", "X-Empty", "Date", "X-Nothing", "Received"]
ADDRESS_FIELDS = ["from", "To", "cc", "sender", "Reply-To"]
WORDS = [
    "urgent",
    "Report",
    "march 2026",
    "me",
    "example.org",
    "EXAMPLE.ORG",
    "jean+news@Example.org",
    "a1",
    "b2",
    "0042abc",
    "7",
    "",
    " ",
    "two  spaces",
    "jean",
    "news",
    "Grp",
    "stars",
    "1 (Highest)",
    "second",
    "Héllo",
    "wörld",
    "MAILER-DAEMON",
]
WILDCARDS = [
    "*",
    "*e*",
    "?*",
    "*?",
    "*:*",
    "a?",
    "??",
    "*o*o*",
    "* * *",
    "[*",
    "*\\**",
    "\\*stars\\**",
    "*r?p*",
    "U*t: *6",
    "**",
]
EXPRESSIONS = [
    "[a-z]+",
    "(e|ep)(o|port)?",
    "^.*$",
    "([0-9]+)",
    "[[:digit:]]{2,4}",
    "^(.)(.)",
    "r.p",
    "(^|[^a-z])(of|and)([^a-z]|$)",
    "[]x]",
    "[^a-z0-9 ]",
    "[\\.]",
    "\\.",
    "x*",
    "(a|b)*c?",
    "\\(.*\\)",
    "[A-F]",
]
DATE_PARTS = [*PARTS]
BODY_WORDS = ["report", "READY", "words", "Plain", "Rich", "Hello pdf", "inner", "epilogue", "prologue", "text", ""]


def quoted(text: str) -> str:
    """As a string of a script."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def strings(values: list[str], most: int = 2) -> SearchStrategy[str]:
    """A string, or a list of some."""
    many = st.lists(st.sampled_from(values), min_size=1, max_size=most)
    return many.map(lambda some: quoted(some[0]) if len(some) == 1 else f"[{', '.join(map(quoted, some))}]")


def matches(keys: list[str], *, default: bool = True, counts: bool = True) -> SearchStrategy[tuple[str, str]]:
    """A match type with its comparator, and keys that go with it."""
    casemap = ':comparator "i;ascii-casemap"'
    free = ["", casemap] if default else [casemap]
    comparator = st.sampled_from([*free, ':comparator "i;octet"'])
    numbers = strings(["0", "1", "2", "42", "7", "2026", "x"])
    relation = st.sampled_from(["gt", "ge", "lt", "le", "eq", "ne"])
    kinds = [
        st.tuples(st.sampled_from([":is", ":contains"]).flatmap(lambda kind: _joined(kind, comparator)), strings(keys)),
        st.tuples(_joined(":matches", comparator), strings(WILDCARDS)),
        st.tuples(_joined(":regex", comparator), strings(EXPRESSIONS)),
        st.tuples(relation.flatmap(lambda one: _joined(f':value "{one}"', comparator)), strings(keys)),
        st.tuples(relation.map(lambda one: f':value "{one}" :comparator "i;ascii-numeric"'), numbers),
        st.tuples(st.just(':is :comparator "i;ascii-numeric"'), strings(["0", "1", "42", "7", "2026"])),
    ]
    if counts:
        kinds.append(st.tuples(relation.map(lambda one: f':count "{one}" :comparator "i;ascii-numeric"'), numbers))
    return st.one_of(kinds)


def _joined(kind: str, comparator: SearchStrategy[str]) -> SearchStrategy[str]:
    return comparator.map(lambda one: f"{kind} {one}".strip())


INDEX = st.sampled_from(["", "", "", ":index 1", ":index 2", ":index 1 :last", ":index 3 :last"])
PART = st.sampled_from(["", ":all", ":localpart", ":domain", ":user", ":detail"])
ZONE = st.sampled_from(["", ':zone "+0200"', ':zone "-0330"', ":originalzone"])


def _without_counted(test: str) -> bool:
    return not (":index" in test and ":count" in test)  # Pigeonhole counts none then


def _test(name: str, *pieces: SearchStrategy[str] | SearchStrategy[tuple[str, str]] | str) -> SearchStrategy[str]:
    """A test of these pieces; the keys of a match come last."""
    made = [st.just(piece) if isinstance(piece, str) else piece for piece in pieces]

    def put(values: tuple[object, ...]) -> str:
        keys = [value[1] for value in values if isinstance(value, tuple)]
        words = [value[0] if isinstance(value, tuple) else str(value) for value in values]
        return " ".join(filter(None, [name, *words, *keys]))

    return st.tuples(*made).map(put)


def leaves() -> SearchStrategy[str]:
    """A single test."""
    dates = ["2026", "03", "29", "2026-03-29", "01", "18:00:00", "0", "+0100", "61128", "31", "12"]
    plain = [word for word in WORDS if word.isascii()]
    return st.one_of(
        _test("header", INDEX, matches(WORDS), strings(FIELDS)).filter(_without_counted),
        _test("header", matches(WORDS, counts=False), strings(["subject"])),
        _test(
            "address", INDEX, PART, matches([*WORDS, "a@example.org", "d@e.example"]), strings(ADDRESS_FIELDS)
        ).filter(_without_counted),
        _test("envelope", PART, matches(["me@example.org", "sender", "example.org", "me"]), strings(["from", "to"])),
        _test("exists", strings([*FIELDS, *ADDRESS_FIELDS])),
        _test("size", st.sampled_from([":over", ":under"]), st.sampled_from(["100", "600", "1K", "1M", "1007"])),
        _test("string", matches(plain, default=False), strings([*plain, "${v}", "${w} ${v}", "${1}"])),
        _test("date", ZONE, INDEX, matches(dates, counts=False), st.sampled_from(['"date"', '"received"']), parts()),
        _test("body", st.sampled_from([":text", ":raw", "", ':content "text"']), _contains(BODY_WORDS)),
        _test("body", ':content ["application/pdf", "multipart", "message/rfc822"]', _contains(BODY_WORDS)),
        _test("spamtest", st.sampled_from(["", ":percent"]), _relations(), st.just('"5"')),
        _test(
            "header", ":mime", ":anychild", MIME, _contains(["text", "html", "pdf", "inner", "mixed", "plain"]), TYPES
        ),
        _test("exists", ":mime :anychild", strings(["content-type", "x-part", "content-disposition"])),
    )


def parts() -> SearchStrategy[str]:
    """A part of a date."""
    return st.sampled_from(DATE_PARTS).map(quoted)


def _contains(words: list[str]) -> SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(":contains"), strings(words))


def _relations() -> SearchStrategy[str]:
    return st.sampled_from(["gt", "ge", "lt", "le"]).map(lambda one: f':value "{one}" :comparator "i;ascii-numeric"')


MIME = st.sampled_from(["", ":type", ":subtype", ":contenttype", ':param ["name", "filename", "charset"]'])
TYPES = st.sampled_from(['"content-type"', '["content-type", "content-disposition"]', '"content-disposition"'])


LEAVES = leaves()
#: A test of tests; true and false stand alone: Pigeonhole reckons with them before it runs the tests beside them.
SHAPES = [
    "{0}",
    "{0}",
    "{0}",
    "not {0}",
    "not not {0}",
    "allof({0}, {1})",
    "anyof({0}, {1})",
    "not anyof(not {0}, {1})",
    "allof(anyof({0}, {1}), not {2})",
    "anyof(allof({0}, not {1}), {2})",
]
TESTS = st.one_of(
    st.tuples(st.sampled_from(SHAPES), LEAVES, LEAVES, LEAVES).map(lambda made: made[0].format(*made[1:])),
    st.sampled_from(["true", "false", "not true"]),
)


MODIFIERS = st.lists(
    st.sampled_from([":lower", ":upperfirst", ":quotewildcard", ":length", ":encodeurl"]), unique=True, max_size=2
).map(" ".join)
VALUES = st.sampled_from(["${1}", "${0}", "a*b?c\\", "Mixed Case", "${v}-${2}", "", "x y/z", "${unicode: 41 42}"])


SETTINGS = st.tuples(MODIFIERS, st.sampled_from(["v", "W"]), VALUES.map(quoted)).map(
    lambda made: f'set {made[0]} "{made[1]}" {made[2]};'
)


def of_characters(script: str) -> str:
    """Without the lines that Pigeonhole runs on octets, for mails that are not all ASCII."""
    lines = script.split("\n")
    return "\n".join(one for one in lines if ":regex" not in one and not (":matches" in one and "?" in one))


def logged(number: int) -> str:
    """The command that shows how far things came, and every variable."""
    return f'LOG "{number}|${{0}}|${{1}}|${{2}}|${{3}}|${{v}}|${{w}}";'


def _block(number: int, made: tuple[str, str, int]) -> str:
    """An if with a line of log in it, perhaps another in its else, perhaps a variable set before it."""
    test, setting, kind = made
    before = f"{setting}\n" if kind == 0 else ""
    other = f" else {{ {logged(1000 + number)} }}" if kind > 2 else ""
    return f"{before}if {test} {{ {logged(number)} }}{other}"


def _loop(test: str) -> str:
    mime = 'header :mime :contenttype :matches "content-type" "*"'
    return f"foreverypart {{ if {mime} {{ {logged(500)} }} if {test} {{ {logged(501)} break; }} }}"


#: Scripts of many ifs, in each a line of log, and a loop at the end.
LOGGING_SCRIPTS = st.tuples(
    st.lists(st.tuples(TESTS, SETTINGS, st.integers(0, 5)), min_size=8, max_size=20), st.none() | TESTS
).map(
    lambda made: "\n".join(
        [*(_block(number, one) for number, one in enumerate(made[0])), *([_loop(made[1])] if made[1] else [])]
    )
)


ACTIONS = st.sampled_from(
    [
        'fileinto "A";',
        'fileinto :copy "B";',
        'fileinto "C-${1}";',
        "keep;",
        "discard;",
        "stop;",
        'redirect "other@example.net";',
        'addflag "\\\\Seen";',
        'notify :message "said ${1}." "mailto:c@example.net";',
        'notify :importance "1" "mailto:a@example.net?cc=b@example.net&subject=s";',
    ]
)


def _branches(made: tuple[str, str, str, str, str, str, int]) -> str:
    """An if with its elsif and its else, as far as it has them."""
    test, first, second, other, third, last, kind = made
    lines = [f"if {test} {{ {first} {second} }}"]
    if kind & 1:
        lines.append(f"elsif {other} {{ {third} }}")
    if kind & 2:
        lines.append(f"else {{ {last} }}")
    return " ".join(lines)


#: Scripts of some ifs with actions in them.
ACTING_SCRIPTS = st.lists(
    st.tuples(TESTS, ACTIONS, ACTIONS, TESTS, ACTIONS, ACTIONS, st.integers(0, 3)).map(_branches),
    min_size=1,
    max_size=6,
).map("\n".join)
