"""What an SMS made of a mail says: the sender's own words, or in one line what happened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from filters import boilerplate, paragraphs, quotation, signature
from filters.mail import Mail
from filters.punctuation import plain

#: How much of a text is looked at (characters): four hundred short messages and more.
_LOOKED_AT = 128 * 1024
#: How many quotations around a mail are opened to find words in one that says nothing itself.
_OPENED = 4

_IMAGE = re.compile(r"\[(?:image|cid|bild|afbeelding|imagen|immagine|billede)\s?:[^\[\]\n]{1,300}\]", re.IGNORECASE)
#: A link whose end was wrapped to the next line, where it looks like a mark of quotation.
_BROKEN_LINK = re.compile(r"(<https?://[^<>\s]{1,2000})\n> ?")
_LINK_AGAIN = re.compile(r"(?<![\s<])<(?:mailto:|tel:|https?://)([^<>\s]{1,2000})>")
#: The address that Microsoft's servers put in the place of each link, with the link in it.
_SAFE_LINK = re.compile(r"[a-z0-9.-]{1,60}safelinks[.]protection[.]outlook[.]com/\?url=([^&\s]{1,2000})", re.IGNORECASE)
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f<>]")
_COPY_FOLLOWS = re.compile(
    r"[-\s]*(?:this is a copy of (?:the|your) message|below this line is a copy of the message|original message follows"
    r"|the original message was|undelivered message header|included is a copy|header of the original"
    r"|message headers? follow|here is (?:the|your) (?:returned|original) mail).{0,80}\Z",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is worth saying of a mail.

    `sender` is the name From gives, or the address where there is no name, or one that poses as another address;
    `address` the addr-spec. `text` is what the mail says, `\\n` between lines, or empty; `stand_in` is then what there
    is instead.
    """

    sender: str
    subject: str
    text: str
    stand_in: str
    automatic: bool
    bounce: bool
    address: str = ""

    @property
    def said(self) -> str:
        """The text, or what stands for it."""
        return self.text or self.stand_in


def excerpt(mail: Mail, own: str | None = None) -> Excerpt:
    """What an SMS made of this mail would say. Never raises; time is linear in the length of its text.

    `own` is its `own_text`, where that is at hand.
    """
    address = mail.from_[0][1] if mail.from_ else ""
    return Excerpt(
        sender=sender(mail),
        subject=plain(mail.subject),
        text=plain(own_text(mail) if own is None else own),
        stand_in=mail.stand_in,
        automatic=mail.is_automatic,
        bounce=mail.is_bounce,
        address=address,
    )


def sender(mail: Mail) -> str:
    """The name to show of who wrote it, or the address."""
    name, address = mail.from_[0] if mail.from_ else ("", "")
    return plain(_who(name, address))


def _who(name: str, address: str) -> str:
    """The name to show: never one that shows another address than the mail's."""
    return address if address and (not name or ("@" in name and address.lower() not in name.lower())) else name


def own_text(mail: Mail) -> str:
    """What a mail says, by what it is: a report of another, a machine's output, an invitation, a person's words."""
    name = mail.from_[0][0] if mail.from_ else ""
    if mail.report:
        return mail.report
    if mail.is_bounce:
        return _tidy(_without_copy(mail.text.split("\n")))
    if mail.is_machine_output:
        return _whole(mail.text)
    if mail.invitation:
        return "\n".join(filter(None, (mail.invitation, own_words(mail.note, name=name))))
    if mail.written.strip() or signature.is_all(mail.text.split("\n"), names=_names(name)):
        return own_words(mail.written, name=name)
    return own_words(mail.text, name=name)  # somebody wrote where the signature stands


def own_words(text: str, *, name: str = "") -> str:
    """The new words of a plain text body; where there are none but a quotation, the quotation's words.

    A quotation goes with the line that introduces it; answers between quoted lines are kept whole. Signatures,
    disclaimers and what servers and telephones add go. `name` is the sender's, as it may stand in his signature.
    """
    names = _names(name)
    lines = _cleaned(text[:_LOOKED_AT]).split("\n")
    for _ in range(_OPENED):
        lines = boilerplate.without(lines)
        own = _tidy(signature.without(quotation.without(signature.without(lines)), names=names))
        if own:
            return own
        inner = quotation.opened(lines)
        if inner is None:
            return ""
        if not any(map(str.strip, inner)):
            break
        lines, names = inner, frozenset()
    return _tidy([paragraphs.unquoted(line) for line in lines])


def _names(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(name[:100]))


def _cleaned(text: str) -> str:
    """Images by their word, and no address twice where a program wrote out what a link shows."""
    if "[" in text:
        text = _IMAGE.sub("(image)", text)
    if "<" in text:
        text = _BROKEN_LINK.sub(r"\1> ", text)
        text = _LINK_AGAIN.sub(_link, text)
    return text


def _link(found: re.Match[str]) -> str:
    """Nothing where the words before a written-out link are the link; the link, unwrapped, where they are not."""
    wrapped = _SAFE_LINK.match(found[1])
    url = unquote(wrapped[1]) if wrapped else found[1]
    target = _bare(url)
    before = found.string[max(found.start() - len(target) - 20, 0) : found.start()]
    if _bare(before.split()[-1].strip("<>()[]*")) == target:
        return ""
    return f"<{url}>" if wrapped and url.startswith("http") and not _BREAKS.search(url) else found[0]


def _bare(url: str) -> str:
    return re.sub(r"\A(?:mailto:|tel:|https?://)?(?:www[.])?", "", url.lower()).rstrip("/")


def _without_copy(lines: list[str]) -> list[str]:
    """Cut the copy of the mail that could not be delivered."""
    for index, line in enumerate(lines):
        if index and _COPY_FOLLOWS.match(line[:200]):
            return lines[:index]
    return lines


def _whole(text: str) -> str:
    """A machine's output as it is: columns kept, but no blank lines around, and never two of them."""
    kept: list[str] = []
    for line in map(str.rstrip, text.split("\n")):
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).rstrip("\n")


def _tidy(lines: list[str]) -> str:
    """One space between words, at most one empty line between paragraphs, none around."""
    tidy: list[str] = []
    for line in lines:
        words = " ".join(line.split())
        if words or (tidy and tidy[-1]):
            tidy.append(words)
    return "\n".join(tidy).strip("\n")
