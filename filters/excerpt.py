"""What an SMS made of a mail says: the sender's own words, without what he answers to and how he signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from filters.mail import Mail

#: How many lines before a quotation may hold "On … wrote:", how many a signature after a bare `--` may have, and how
#: many lines like "Sent from my phone" are looked at.
_ATTRIBUTION_LINES, _SIGNATURE_LINES, _MOBILE_LINES = 4, 12, 4

_QUOTED = re.compile(r"\s{0,3}>")
_ATTRIBUTION = re.compile(r"[0-9@].*:\s*\Z", re.DOTALL)
_ATTRIBUTION_VERB = re.compile(
    r"\b(wrote|writes|schrieb|a écrit|écrivait|schreef|het volgende geschreven|escribió|ha scritto|skrev|escreveu)\b"
    r".{0,80}:\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
_OPENING = re.compile(r"(on|le|op|am|el|il|den|em)\s", re.IGNORECASE)
_DATE_OR_ADDRESS = re.compile(r"\d{1,4}[-./\s]|@")
_ORIGINAL = re.compile(
    r"\s*[-_*=]{2,}\s*("
    r"original message|forwarded message|original appointment"
    r"|ursprüngliche nachricht|weitergeleitete nachricht|originalnachricht|urspr[^\s]{0,12} nachricht"
    r"|message d'origine|message original|message transféré|message initial"
    r"|oorspronkelijk bericht|doorgestuurd bericht|origineel bericht"
    r"|mensaje original|mensaje reenviado"
    r"|messaggio originale|messaggio inoltrato"
    r"|oprindelig meddelelse|videresendt meddelelse|original meddelelse"
    r")\s*[-_*=]*\s*\Z",
    re.IGNORECASE,
)
_BEGIN_FORWARDED = re.compile(
    r"\s*(begin forwarded message|début du message (?:réexpédié|transféré)|begin doorgestuurd bericht"
    r"|anfang der weitergeleiteten nachricht|inicio del mensaje reenviado|inizio messaggio inoltrato"
    r"|start på videresendt besked)\s*:\s*\Z",
    re.IGNORECASE,
)
_FROM_LINE = re.compile(r"\s*\*?(from|von|de|van|da|fra)\s?\*?\s*:\s*\*?\s*\S", re.IGNORECASE)
_HEADER_LINE = re.compile(
    r"\s*\*?(sent|date|to|cc|subject|gesendet|datum|an|betreff|envoyé|date|à|objet|verzonden|aan|onderwerp"
    r"|enviado(?: el)?|fecha|para|asunto|inviato|data|a|oggetto|sendt|dato|til|emne)\s?\*?\s*:",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*[_-]{8,}\s*\Z")
_MOBILE = re.compile(
    r"\s*(sent from my |sent from (?:outlook|mail|yahoo|proton|samsung|gmail|blue)\b|get outlook for |sent via "
    r"|envoyé (?:de|depuis) (?:mon|ma|mail|outlook|l'application)\b|télécharge[rz] outlook pour "
    r"|verstuurd (?:vanaf|met|van) mijn |verzonden (?:vanaf|met|van|vanuit) (?:mijn|mail|outlook)\b"
    r"|outlook voor (?:ios|android) downloaden"
    r"|von meinem .{2,40} gesendet|gesendet (?:von|mit) (?:mein|mail|outlook|der)"
    r"|outlook für (?:ios|android) herunterladen"
    r"|enviado desde (?:mi|mail|outlook)\b|obtener outlook para "
    r"|inviato da(?:l mio| iphone| ipad| outlook|lla mia)|scarica outlook per "
    r"|sendt fra min |hent outlook (?:til|for) ).{0,80}\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is worth saying of a mail. `sender` is the name, or the address where there is no name.

    `text` is the sender's own words, `\\n` between lines, or empty; `stand_in` is then what there is instead.
    """

    sender: str
    subject: str
    text: str
    stand_in: str
    automatic: bool
    bounce: bool


def excerpt(mail: Mail) -> Excerpt:
    """What an SMS made of this mail would say."""
    name, address = mail.from_[0] if mail.from_ else ("", "")
    return Excerpt(
        sender=name or address,
        subject=mail.subject,
        text=own_words(mail.text),
        stand_in=mail.stand_in,
        automatic=mail.is_automatic,
        bounce=mail.is_bounce,
    )


def own_words(text: str) -> str:
    """The new words of a plain text body; where all of it is quotation, the quotation's words.

    A quotation at the end, or one at the beginning, goes with the line that introduces it; an answer between
    quotations is kept whole. A signature after `-- ` (RFC 3676 section 4.3) goes.
    """
    lines = text.split("\n")
    kept = _tidy(_without_signature(_without_quotation(_without_original(_without_signature(lines)))))
    if kept:
        return kept
    return _tidy([re.sub(r"\A[>\s]+", "", line) for line in lines if not _ORIGINAL.match(line)])


def _without_original(lines: list[str]) -> list[str]:
    """Cut what programs append of the mail answered: "-----Original Message-----", or its header in the text."""
    for index, line in enumerate(lines):
        if _ORIGINAL.match(line) or _BEGIN_FORWARDED.match(line):
            return lines[:index]
        if (
            _FROM_LINE.match(line)
            and sum(_HEADER_LINE.match(after) is not None for after in lines[index + 1 : index + 6]) >= 2
        ):
            before = index - 1 if index and _RULE.match(lines[index - 1]) else index
            return lines[:before]
    return lines


def _without_quotation(lines: list[str]) -> list[str]:
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    end = last
    while end and (_is_quoted(lines[end - 1]) or not lines[end - 1].strip()):
        end -= 1
    if end < last:
        return _without_attribution(lines[:end]) if not any(map(_is_quoted, lines[:end])) else lines
    return _without_leading_quotation(lines)


def _without_leading_quotation(lines: list[str]) -> list[str]:
    """The answer below one quotation: the quotation and its introduction go; with more than one all is kept."""
    first = next((index for index, line in enumerate(lines) if _is_quoted(line)), None)
    if first is None or any(line.strip() for line in _without_attribution(lines[:first])):
        return lines
    after = first
    while after < len(lines) and (_is_quoted(lines[after]) or not lines[after].strip()):
        after += 1
    return lines if any(map(_is_quoted, lines[after:])) else lines[after:]


def _without_attribution(lines: list[str]) -> list[str]:
    """Cut the "On … wrote:" that ends these lines, wrapped or not, in any language."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    likely: int | None = None
    for length in range(1, _ATTRIBUTION_LINES + 1):
        start = end - length
        if start < 0 or not lines[start].strip():
            break
        joined = " ".join(line.strip() for line in lines[start:end])
        if len(joined) > 400 or not joined.endswith(":"):
            break
        verb = _ATTRIBUTION_VERB.search(joined)
        alone = start == 0 or not lines[start - 1].strip()
        if (verb and _OPENING.match(joined)) or (alone and likely is None and (verb or _ATTRIBUTION.search(joined))):
            return lines[:start]
        if verb and likely is None and _DATE_OR_ADDRESS.search(joined):
            likely = start  # unless a line above begins it
    return lines[: end if likely is None else likely]


def _without_signature(lines: list[str]) -> list[str]:
    looked = 0
    for index, line in enumerate(lines):
        if line == "-- " or (line.rstrip() == "--" and len(lines) - index <= _SIGNATURE_LINES):
            return lines[:index]
        if looked < _MOBILE_LINES and _MOBILE.match(line):
            looked += 1
            if _only_quotation(lines[index + 1 :]):
                return [*lines[:index], *lines[index + 1 :]]
    return lines


def _only_quotation(lines: list[str]) -> bool:
    rest = _without_quotation(_without_original(lines))
    return not any(line.strip() for line in rest)


def _is_quoted(line: str) -> bool:
    return _QUOTED.match(line) is not None


def _tidy(lines: list[str]) -> str:
    """One space between words, at most one empty line between paragraphs, none around."""
    tidy: list[str] = []
    for line in lines:
        words = " ".join(line.split())
        if words or (tidy and tidy[-1]):
            tidy.append(words)
    return "\n".join(tidy).strip("\n")
