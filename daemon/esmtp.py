"""The grammar of MAIL and RCPT, and how replies are written (RFC 5321 section 4.1.2, RFC 3461 section 4)."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass, field

_PATH = re.compile(
    r"<(?:@[^\s<>:]*:)?(?P<local>\"(?:[^\"\\]|\\.)*\"|[^\s<>\"@]+)(?:@(?P<domain>\[[^\]\s<>]*\]|[^\s<>\[\]@\"]+))?>"
)
_BARE_PATH = re.compile(r"(?P<local>[^\s<>\"@]+)@(?P<domain>[^\s<>@\"]+)")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\s=\x00-\x1f]+))?\Z")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")
_CONDITIONS = frozenset({"SUCCESS", "FAILURE", "DELAY"})

#: Octets of one reply line without its end (RFC 5321 section 4.5.3.1.5 allows 512 with it), and lines of one reply.
_REPLY_LINE, _REPLY_LINES = 480, 8


class ParameterError(ValueError):
    """A command whose path or parameters cannot be read; `reply` is what the client is told."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Path:
    """A mailbox: local part without quotation marks, domain lower case; both empty for the null path."""

    local: str
    domain: str
    written: str

    def __str__(self) -> str:
        return self.written

    def __bool__(self) -> bool:
        return bool(self.local)


@dataclass(frozen=True, slots=True)
class MailParameters:
    """The parameters of MAIL: SIZE in octets, and those of delivery status notifications."""

    size: int = 0
    utf8: bool = False
    envid: str = ""
    ret: str = ""


@dataclass(frozen=True, slots=True)
class RcptParameters:
    """The parameters of RCPT, all of them of delivery status notifications."""

    notify: frozenset[str] = field(default_factory=frozenset)
    orcpt: str = ""


def split(argument: str | None, keyword: str) -> tuple[Path, dict[str, str]]:
    """The path and the parameters, keys in upper case, of `FROM:<path> KEY=value …`; `ParameterError` otherwise."""
    usage = f"501 5.5.4 Write {'MAIL' if keyword == 'FROM' else 'RCPT'} {keyword}:<address>"
    if argument is None or argument[: len(keyword) + 1].upper() != f"{keyword}:":
        raise ParameterError(usage)
    rest = argument[len(keyword) + 1 :].lstrip(" \t")
    if rest.startswith("<>"):
        path, rest = Path("", "", ""), rest[2:]
    else:
        found = _PATH.match(rest) or _BARE_PATH.match(rest)
        if found is None:
            raise ParameterError(f"{'553 5.1.7' if keyword == 'FROM' else '553 5.1.3'} That is no mail address")
        path, rest = _path(found), rest[found.end() :]
    if rest and not rest[0].isspace():
        raise ParameterError(usage)
    parameters: dict[str, str] = {}
    for word in rest.split():
        parameter = _PARAMETER.match(word)
        if parameter is None or parameter[1].upper() in parameters:
            raise ParameterError(f"501 5.5.4 {word[:40]} is no parameter, or came twice")
        parameters[parameter[1].upper()] = parameter[2] or ""
    return path, parameters


def _path(found: re.Match[str]) -> Path:
    local, domain = found["local"], found["domain"] or ""
    if not _is_text(local + domain):
        raise ParameterError("553 5.6.7 That address is not valid UTF-8")
    plain = re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local
    return Path(plain, ascii_domain(domain), f"{local}@{domain}" if domain else local)


def _is_text(text: str) -> bool:
    return not any(
        "\ud800" <= character <= "\udfff" or ord(character) < 32 or character == "\x7f" for character in text
    )


def ascii_domain(domain: str) -> str:
    """A domain in lower case, without the last dot, its labels in ASCII (RFC 5890); as it is where that cannot be."""
    domain = domain.removesuffix(".")
    if domain.isascii():
        return domain.lower()
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return domain.lower()


def mail_parameters(parameters: dict[str, str], *, max_size: int) -> MailParameters:
    """The parameters of MAIL (RFC 1870, 3461, 4954, 6152, 6531); `ParameterError` for what is wrong with them."""
    size, utf8, envid, ret = 0, False, "", ""
    for key, value in parameters.items():
        if key == "SIZE" and value.isdecimal() and value.isascii() and len(value) <= 20:
            size = int(value)
            if size > max_size:
                raise ParameterError(f"552 5.3.4 This mail is too large: at most {max_size} octets are taken here")
        elif key == "BODY" and value.upper() in ("7BIT", "8BITMIME"):
            continue
        elif key == "SMTPUTF8" and not value:
            utf8 = True
        elif key == "AUTH" and value:
            continue  # who submitted it elsewhere (RFC 4954 section 5) proves nothing here
        elif key == "RET" and value.upper() in ("FULL", "HDRS"):
            ret = value.upper()
        elif key == "ENVID" and 0 < len(value) <= 100:
            envid = _unxtext(value)
        elif key in ("SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"):
            raise ParameterError(f"501 5.5.4 {key} cannot be {value[:40] or 'empty'}")
        else:
            raise ParameterError(f"555 5.5.4 MAIL parameter {key[:40]} is not known here")
    return MailParameters(size, utf8, envid, ret)


def rcpt_parameters(parameters: dict[str, str]) -> RcptParameters:
    """The parameters of RCPT (RFC 3461 sections 4.1 and 4.2); `ParameterError` for what is wrong with them."""
    notify: frozenset[str] = frozenset()
    orcpt = ""
    for key, value in parameters.items():
        if key == "NOTIFY":
            notify = frozenset(value.upper().split(","))
            if notify != {"NEVER"} and not (notify and notify <= _CONDITIONS):
                raise ParameterError(f"501 5.5.4 NOTIFY cannot be {value[:40] or 'empty'}")
        elif key == "ORCPT":
            kind, semicolon, address = value.partition(";")
            if not (kind and semicolon and address) or len(value) > 500:
                raise ParameterError("501 5.5.4 ORCPT is written type;address")
            orcpt = f"{kind.lower()};{_unxtext(address)}"
        else:
            raise ParameterError(f"555 5.5.4 RCPT parameter {key[:40]} is not known here")
    return RcptParameters(notify, orcpt)


def _unxtext(text: str) -> str:
    """Decode xtext (RFC 3461 section 4), controls left out: what is quoted back in reports must not break a line."""
    decoded = _XTEXT.sub(lambda octet: chr(int(octet[1], 16)), text)
    return "".join(character for character in decoded if character.isprintable())


def reply(status: str, text: str) -> str:
    """A reply of one or several lines: `status` is `550 5.1.1`; the text is made ASCII, with no control characters.

    Lines are separated by CRLF, the last has none (RFC 5321 section 4.2.1, RFC 2034 section 4).
    """
    code, _, enhanced = status.partition(" ")
    if len(code) != 3 or not code.isdecimal():
        code, enhanced = "550", "5.0.0"
    if not _STATUS.match(enhanced):
        enhanced = f"{code[0]}.0.0"
    plain = " ".join(_ascii(text).split())
    lines = textwrap.wrap(plain, _REPLY_LINE - len(enhanced) - 5, max_lines=_REPLY_LINES, placeholder=" ...") or [""]
    last = len(lines) - 1
    return "\r\n".join(
        f"{code}{' ' if index == last else '-'}{enhanced} {line}".rstrip() for index, line in enumerate(lines)
    )


_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "ß": "ss"}
)


def _ascii(text: str) -> str:
    """The text in printable ASCII: accents go, what has no like becomes a question mark."""
    if text.isascii() and text.isprintable():
        return text
    decomposed = unicodedata.normalize("NFKD", text[:4000].translate(_PLAIN))
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    plain = bare.encode("ascii", "replace").decode("ascii")
    return "".join(character if character.isprintable() else " " for character in plain)
