"""The arguments of one command or test, sorted by its signature; what does not fit is refused with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from filters.sieve.comparators import COMPARATORS, RELATIONS
from filters.sieve.error import SieveError
from filters.sieve.expressions import ExpressionError, compiled
from filters.sieve.grammar import Argument, Command
from filters.sieve.matching import Match
from filters.sieve.program import Value
from filters.sieve.signatures import Parameter, Signature, Tag
from filters.sieve.strings import StringError, Template, Templates, Text, decoded, template

_FREE = frozenset({"comparator-i;ascii-casemap", "comparator-i;octet"})
_MATCH_TYPES = ("is", "contains", "matches", "regex", "value", "count", "list")
_NAMES: Mapping[str, str] = {"string": "a string", "strings": "a string or a list of strings", "number": "a number"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Sorts arguments; `required` are the capabilities the script has."""

    required: frozenset[str]

    def sort(self, command: Command, signature: Signature) -> tuple[dict[str, Value], tuple[Value, ...], Match]:
        """Its tags with their values, its other arguments, and how it compares."""
        allowed = {tag.name: tag for tag in signature.tags}
        tags: dict[str, Value] = {}
        groups: dict[str, str] = {}
        rest = list(command.arguments)
        while rest and rest[0].kind == "tag":
            argument = rest.pop(0)
            tag = self._tag(command, argument, allowed)
            self._alone(command, argument.line, tag, groups)
            tags[tag.name] = self._parameter(command, argument, tag, rest) if tag.takes else None
        given = self._given(command, signature, rest)
        match = self._match(command, tags, given)
        return tags, given, match

    def has(self, needs: str | tuple[str, ...]) -> bool:
        """Whether the extensions that bring something are required."""
        return all(one in self.required for one in ((needs,) if isinstance(needs, str) else needs) if one)

    def _tag(self, command: Command, argument: Argument, allowed: Mapping[str, Tag]) -> Tag:
        written = str(argument.value)
        tag = allowed.get(written[1:])
        if tag is None:
            raise SieveError(argument.line, f"{command.name} does not know {written}")
        if not self.has(tag.needs):
            raise SieveError(argument.line, f'{written} needs require "{tag.needs}";')
        return tag

    def _alone(self, command: Command, line: int, tag: Tag, groups: dict[str, str]) -> None:
        other = groups.setdefault(tag.group, tag.name)
        if groups.get(f"={tag.name}"):
            raise SieveError(line, f":{tag.name} is given twice")
        groups[f"={tag.name}"] = tag.name
        if other != tag.name:
            raise SieveError(line, f":{other} and :{tag.name} cannot both be given to {command.name}")

    def _parameter(self, command: Command, argument: Argument, tag: Tag, rest: list[Argument]) -> Value:
        if not rest or not _fits(rest[0], tag.takes):
            stands = f", and {rest[0].shown} stands there" if rest else ""
            raise SieveError(argument.line, f"after :{tag.name} {_NAMES[str(tag.takes)]} is due{stands}")
        return self.value(rest.pop(0), tag.takes)

    def _given(self, command: Command, signature: Signature, rest: list[Argument]) -> tuple[Value, ...]:
        takes = list(signature.takes)
        if tag := next((one for one in rest if one.kind == "tag"), None):
            raise SieveError(tag.line, f"{tag.shown} stands after the arguments of {command.name}: tags come first")
        missing = len(takes) - len(rest)
        if missing == abs(signature.optional) and missing:
            takes = takes[missing:] if signature.optional > 0 else takes[:-missing]
        if len(takes) != len(rest):
            wanted = f"{len(takes)} argument{'s' if len(takes) != 1 else ''}" if takes else "no argument"
            line = rest[-1].line if rest else command.line
            verb = "is" if len(rest) == 1 else "are"
            raise SieveError(line, f"{command.name} takes {wanted} beside its tags, and {len(rest)} {verb} given")
        for number, (argument, parameter) in enumerate(zip(rest, takes, strict=True), 1):
            if not _fits(argument, parameter):
                raise SieveError(
                    argument.line,
                    f"argument {number} of {command.name} has to be {_NAMES[parameter]}, and {argument.shown} is given",
                )
        return tuple(self.value(argument, parameter) for argument, parameter in zip(rest, takes, strict=True))

    def value(self, argument: Argument, parameter: Parameter | None) -> Value:
        """The argument as it will be looked at."""
        if argument.kind == "number":
            return int(str(argument.value))
        if parameter == "string":
            return self._text(str(argument.value), argument.line)
        written = argument.value if isinstance(argument.value, tuple) else (str(argument.value),)
        lines = argument.lines or (argument.line,)
        texts = tuple(self._text(one, line) for one, line in zip(written, lines, strict=True))
        plain = tuple(one for one in texts if isinstance(one, str))
        return plain if len(plain) == len(texts) else Templates(texts)

    def _text(self, written: str, line: int) -> Text:
        try:
            text = decoded(written) if "encoded-character" in self.required else written
            return template(text) if "variables" in self.required else text
        except StringError as error:
            raise SieveError(line, str(error)) from None

    def _match(self, command: Command, tags: Mapping[str, Value], given: tuple[Value, ...]) -> Match:
        kind = next((one for one in _MATCH_TYPES if one in tags and command.name != "redirect"), "is")
        comparator = self._comparator(command, tags)
        relation = "eq"
        if kind in ("value", "count"):
            written = tags[kind]
            if not isinstance(written, str) or written not in RELATIONS:
                raise SieveError(command.line, f':{kind} is followed by one of "gt", "ge", "lt", "le", "eq", "ne"')
            relation = written
        match = Match(kind, COMPARATORS[comparator], relation)
        if kind in ("contains", "matches", "regex") and not match.comparator.parts:
            raise SieveError(command.line, f"{comparator} compares whole numbers: :{kind} cannot be used with it")
        if kind == "regex":
            self._check_expressions(command, given, match)
        return match

    def _comparator(self, command: Command, tags: Mapping[str, Value]) -> str:
        name = tags.get("comparator", "i;ascii-casemap")
        if not isinstance(name, str):
            raise SieveError(command.line, "a comparator cannot have variables in its name")
        if name not in COMPARATORS:
            raise SieveError(command.line, f'there is no comparator "{name[:60]}": there are {", ".join(COMPARATORS)}')
        needs = f"comparator-{name}"
        if needs not in _FREE and needs not in self.required:
            raise SieveError(command.line, f'the comparator {name} needs require "{needs}";')
        return name

    def _check_expressions(self, command: Command, given: tuple[Value, ...], match: Match) -> None:
        keys = given[-1]
        items = keys.items if isinstance(keys, Templates) else keys if isinstance(keys, tuple) else ()
        last = command.arguments[-1]
        lines = last.lines or (last.line,)
        for index, key in enumerate(items):
            if isinstance(key, Template):
                continue
            try:
                compiled(key, fold=match.comparator.name != "i;octet")
            except ExpressionError as error:
                raise SieveError(lines[index], str(error)) from None


def _fits(argument: Argument, parameter: Parameter | None) -> bool:
    if parameter == "strings":
        return argument.kind in ("string", "list")
    return argument.kind == parameter
