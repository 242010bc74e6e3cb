"""JSON filters as Sieve scripts, as far as Sieve can say what they say; the rest is refused by its path.

Sieve compares ASCII without regard to case and knows no folding of accents: what a script cannot do without anybody
noticing (a test that is left out, a limit that is dropped) is refused; that accents count is said in its first lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from filters import fields, operators, templates
from filters.comparison import several
from filters.filter import Action, Filter
from filters.tree import All, FilterError, Node, Not, Test
from filters.verdict import Json

_ADDRESSES: Mapping[str, tuple[str, ...]] = {
    **{"from": ("from",), "sender": ("sender",), "reply_to": ("reply-to",), "to": ("to",), "cc": ("cc",)},
    **{"any_sender": ("from", "sender", "reply-to"), "any_recipient": ("to", "cc")},
}
_PARTS = {"": ":all", "local": ":localpart", "domain": ":domain", "detail": ":detail"}
#: What of a mail a text can say in Sieve: the test that finds it.
_SET = {"subject": 'header :matches "subject" "*"', "from": 'address :matches "from" "*"'}
_SET |= {"to": 'address :matches "to" "*"'}
_SCHEMES = {"sms": "sms:", "email": "mailto:", "fax": "fax:"}
#: Patterns that mean the same to POSIX and to RE2.
_POSIX = re.compile(
    r"(?:[^\\(*+?{]|\\[.\[\]()*+?{}|^$\\]|\((?!\?)|[*+?](?![+?])|\{[0-9]{1,3}(?:,[0-9]{0,3})?\}(?![+?]))*"
)
_RELATIONS = {"=": "eq", "is": "eq", "in": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def script(given: Filter) -> str:
    """The script that says the same; `FilterError` with the path of what Sieve cannot say."""
    for name in ("source", "max_per", "quiet"):
        if getattr(given, name) not in (None, "all"):
            raise FilterError(name, "Sieve cannot say this: set it for the script's filter, or leave it out")
    writer = _Writer()
    test = writer.node(given.when)
    body = [line for number, one in enumerate(given.actions) for line in writer.action(one, f"actions[{number}]")]
    if given.stop:
        body.append("stop;")
    head = [f"# {given.name}", "# Here accents count, and so does case beyond ASCII.", ""]
    head.append(f"require {_list(sorted(writer.required))};")
    head += [f'if {_SET[name]} {{ set "{name}" "${{1}}"; }}' for name in sorted(writer.set)]
    return "\n".join([*head, f"if {test} {{", *(f"  {line}" for line in body), "}", ""])


@dataclass(slots=True)
class _Writer:
    """Writes the pieces of one script and gathers what they require."""

    required: set[str] = field(default_factory=lambda: {"enotify"})
    set: set[str] = field(default_factory=set)

    def node(self, node: Node) -> str:
        """A node of the criteria as a test of Sieve."""
        if isinstance(node, Test):
            return self._test(node)
        if isinstance(node, Not):
            return f"not {self.node(node.node)}"
        return f"{'allof' if isinstance(node, All) else 'anyof'} ({', '.join(map(self.node, node.nodes))})"

    def _test(self, test: Test) -> str:
        name, _, rest = test.field.partition(":")
        if test.field in ("subject", "list_id") or name == "header":
            return self._header(test, {"subject": "subject", "list_id": "list-id"}.get(name, rest.lower()))
        if name in _ADDRESSES or name in ("envelope_from", "envelope_to"):
            return self._address(test, name, rest)
        write = _WRITERS.get(test.field)
        if write is None:
            hint = ": write body_full" if test.field == "body" else ""
            raise FilterError(f"{test.path}.field", f"Sieve cannot ask for {test.field}{hint}")
        return write(self, test)

    def _header(self, test: Test, name: str) -> str:
        if test.op == "exists":
            return _unless(test, f"exists {_quoted(name)}")
        if test.op == "empty":
            blank = f'header :is {_quoted(name)} ""'
            return blank if test.value is not False else f"allof (exists {_quoted(name)}, not {blank})"
        if test.field == "list_id":
            if test.op not in ("is", "in"):
                raise FilterError(f"{test.path}.op", f"Sieve cannot look into a list's identifier with {test.op}")
            values = [f"*<{_escaped(one)}>" for one in _texts(test)]
            return f"header :matches {_quoted(name)} {_list(values)}"
        return f"header {self._match(test)} {_quoted(name)} {_list(self._keys(test))}"

    def _address(self, test: Test, name: str, suffix: str) -> str:
        if suffix == "name":
            raise FilterError(f"{test.path}.field", "Sieve cannot ask for the name shown: ask for the header")
        if suffix == "detail":
            self.required.add("subaddress")
        if name in _ADDRESSES:
            verb, where = "address", _list(list(_ADDRESSES[name]))
        else:
            self.required.add("envelope")
            verb, where = "envelope", _quoted(name.removeprefix("envelope_"))
        if test.op == "exists" and verb == "address" and not suffix:
            return _unless(test, _any(f"exists {_quoted(one)}" for one in _ADDRESSES[name]))
        if test.op in ("exists", "empty"):
            raise FilterError(f"{test.path}.op", f"Sieve cannot ask whether {test.field} {_ASKED[test.op]}")
        if test.op == "under":
            keys = [key for one in _texts(test) for key in (_escaped(one), f"*.{_escaped(one)}")]
            return f"{verb} :domain :matches {where} {_list([key.lstrip('@.') for key in keys])}"
        return f"{verb} {_PARTS[suffix]} {self._match(test)} {where} {_list(self._keys(test))}"

    def _match(self, test: Test) -> str:
        """The match type, with the comparator where letters beyond ASCII are compared."""
        kinds = {"is": ":is", "in": ":is", "contains": ":contains", "regex": ":regex"}
        kinds |= dict.fromkeys(("begins", "ends", "wildcard"), ":matches")
        if test.op not in kinds:
            raise FilterError(f"{test.path}.op", f"Sieve has nothing like {test.op}: write contains or wildcard")
        if test.op == "regex":
            self.required.add("regex")
        if all(one.isascii() for one in _texts(test)):
            return kinds[test.op]
        if not test.accents:
            raise FilterError(f"{test.path}.value", "Sieve tells accents apart: write accents true if that is meant")
        if test.op == "regex":
            raise FilterError(f"{test.path}.value", "a pattern of Sieve has no letters beyond ASCII in either case")
        self.required.add("comparator-i;unicode-casemap")
        return f'{kinds[test.op]} :comparator "i;unicode-casemap"'

    def _keys(self, test: Test) -> list[str]:
        values = _texts(test)
        if test.op == "begins":
            return [f"{_escaped(one)}*" for one in values]
        if test.op == "ends":
            return [f"*{_escaped(one)}" for one in values]
        if test.op == "wildcard":
            return [one.replace("\\", "\\\\") for one in values]
        if test.op == "regex":
            for one in values:
                if not _POSIX.fullmatch(one):
                    raise FilterError(f"{test.path}.value", f"{one!r} is no pattern of Sieve, which knows POSIX's only")
        return values

    def body(self, test: Test) -> str:
        """The whole text, which has all of a mail's texts in Sieve."""
        self.required.add("body")
        if test.op not in ("contains", "wildcard", "regex"):
            raise FilterError(f"{test.path}.op", f"Sieve cannot look at a body with {test.op}: write contains")
        return f"body :text {self._match(test)} {_list(self._keys(test))}"

    def any_text(self, test: Test) -> str:
        """The subject, or the whole text."""
        return _any([self._header(test, "subject"), self.body(test)])

    def size(self, test: Test) -> str:
        """Octets, of which Sieve knows over and under."""
        if test.op == "exists":
            return _unless(test, "true")
        if test.op == "between":
            pairs = test.value if isinstance(test.value[0], list) else [test.value]
            ends = [(_whole(low, test), _whole(high, test)) for low, high in pairs]
            return _any(f"allof (not size :under {low}, size :under {high})" for low, high in ends)
        values = [_whole(one, test) for one in several(test.value)]
        forms = {
            **{">": "size :over {}", "<": "size :under {}", ">=": "not size :under {}", "<=": "not size :over {}"},
            **{"!=": "anyof (size :over {0}, size :under {0})"},
        }
        same = "allof (not size :over {0}, not size :under {0})"
        return _any(forms.get(test.op, same).format(one) for one in values)

    def recipients(self, test: Test) -> str:
        """How many addresses stand in To and Cc."""
        if test.op not in _RELATIONS:
            raise FilterError(f"{test.path}.op", f"Sieve cannot count with {test.op}")
        self.required |= {"relational", "comparator-i;ascii-numeric"}
        start = f'address :count "{_RELATIONS[test.op]}" :comparator "i;ascii-numeric" ["to", "cc"]'
        return _any(f'{start} "{_whole(one, test)}"' for one in several(test.value))

    def sender_in(self, test: Test) -> str:
        """Books, groups and lists are lists outside of the script (RFC 6134)."""
        self.required.add("extlists")
        if test.op in ("exists", "empty"):
            known = 'address :list "from" "tag:tocsin,2026:any"'
            return known if (test.op == "exists") is (test.value is not False) else f"not {known}"
        names = [f"tag:tocsin,2026:{quote(one, safe=':')}" for one in _texts(test)]
        return f'address :list "from" {_list(names)}'

    def is_list(self, test: Test) -> str:
        """What `filters.mail` takes for a list."""
        return _truth(test, 'anyof (exists "list-id", exists "list-post", exists "list-unsubscribe")')

    def weekday(self, test: Test) -> str:
        """The days that fit, as numbers from Sunday on."""
        self.required.add("date")
        days = [str((number + 1) % 7) for number, day in enumerate(fields.WEEKDAYS) if _fits(test, day)]
        return f'currentdate :is "weekday" {_list(days)}' if days else "false"

    def hour(self, test: Test) -> str:
        """The stretches of a day that fit."""
        self.required |= {"date", "relational"}
        minutes = [_fits(test, f"{minute // 60:02}:{minute % 60:02}") for minute in range(1440)]
        edges = [n for n in range(1441) if (n < 1440 and minutes[n]) is not (n > 0 and minutes[n - 1])]
        spans = [self._span(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True)]
        return _any(spans) if spans else "false"

    def _span(self, first: int, last: int) -> str:
        start = f'currentdate :value "ge" "time" "{first // 60:02}:{first % 60:02}:00"'
        if last == 1440:
            return start
        return f'allof ({start}, currentdate :value "lt" "time" "{last // 60:02}:{last % 60:02}:00")'

    def date(self, test: Test) -> str:
        """Days compare as texts."""
        self.required |= {"date", "relational"}
        if test.op == "exists":
            return _unless(test, "true")
        if test.op == "between":
            pairs = test.value if isinstance(test.value[0], list) else [test.value]
            day = 'currentdate :value "{}" "date" "{}"'.format
            return _any(f"allof ({day('ge', low)}, {day('lt', high)})" for low, high in pairs)
        days = several(test.value)
        return _any(f'currentdate :value "{_RELATIONS[test.op]}" "date" "{one}"' for one in days)

    def action(self, action: Action, path: str) -> list[str]:
        """A notification for each destination."""
        if action.max_parts is not None or action.subject is not None:
            name = "max_parts" if action.max_parts is not None else "subject"
            raise FilterError(f"{path}.{name}", "Sieve cannot say this: a script's texts are as long as they are")
        message = ""
        if action.text is not None:
            message = f":message {self._text(action.text, f'{path}.text')} "
        return [
            f"notify {message}{_quoted(_SCHEMES[channel] + quote(to, safe='@:+'))};"
            for channel, destinations in action.to
            for to in destinations
        ]

    def _text(self, text: str, path: str) -> str:
        names = templates.names(text)
        for name in names:
            if name not in _SET:
                raise FilterError(path, f"Sieve cannot say {{{name}}}: it can say {{from}}, {{to}} and {{subject}}")
        if names:
            self.required.add("variables")
            self.set |= set(names)
            if "${" in text.replace("{{", "{"):
                raise FilterError(path, "Sieve would take ${ for a variable")
        for name in names:
            text = text.replace(f"{{{name}}}", f"${{{name}}}")
        return _quoted(text.replace("{{", "{").replace("}}", "}"))


_WRITERS: Mapping[str, Callable[[_Writer, Test], str]] = {
    "body_full": _Writer.body,
    **{"any_text": _Writer.any_text, "size": _Writer.size, "recipients": _Writer.recipients},
    **{"sender_in": _Writer.sender_in, "is_list": _Writer.is_list, "weekday": _Writer.weekday},
    **{"hour": _Writer.hour, "date": _Writer.date},
}
_ASKED = {"exists": "is there", "empty": "is empty"}


def _fits(test: Test, value: str) -> bool:
    """Whether a value of the test's field would fit it."""
    if test.op == "exists":
        return test.value is not False
    return operators.comparison(fields.find(test.field), test.op, test.value, accents=False).fits(value)


def _texts(test: Test) -> list[str]:
    return [str(one) for one in several(test.value)]


def _truth(test: Test, held: str) -> str:
    if test.op == "exists":
        return _unless(test, "true")
    wanted = several(test.value)
    fits = [truth for truth in (True, False) if (truth in wanted) is not (test.op == "!=")]
    if len(fits) != 1:
        return "true" if fits else "false"
    return held if fits[0] else f"not {held}"


def _unless(test: Test, held: str) -> str:
    return f"not {held}" if test.value is False else held


def _whole(value: Json, test: Test) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**31:
        raise FilterError(f"{test.path}.value", f"Sieve knows whole numbers only, not {value}")
    return value


def _any(tests: Iterable[str]) -> str:
    listed = list(tests)
    return listed[0] if len(listed) == 1 else f"anyof ({', '.join(listed)})"


def _escaped(text: str) -> str:
    """A text in which nothing is a wildcard (RFC 5228 section 2.7.1)."""
    return re.sub(r"[\\*?]", r"\\\g<0>", text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list(texts: list[str]) -> str:
    return _quoted(texts[0]) if len(texts) == 1 else f"[{', '.join(map(_quoted, texts))}]"
