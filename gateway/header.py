"""Values of header fields, written so that every mail server carries them (RFC 5322, RFC 2047)."""

from __future__ import annotations

from email.header import Header

#: How long a line of a header should be (RFC 5322 section 2.1.1).
_LINE = 76


def words(field: str, text: str) -> str:
    """A text of one line as the value of `field`: folded, in encoded words where it is not plain ASCII."""
    plain = text.isascii() and "=?" not in text
    if plain and len(text) + len(field) + 2 <= _LINE:
        return text
    return Header(text, "us-ascii" if plain else "utf-8", maxlinelen=_LINE, header_name=field).encode(linesep="\r\n")


def mailbox(name: str, address: str) -> str:
    """A mailbox with its display name (RFC 5322 section 3.4); a name that is an address itself is left out."""
    if not name or "@" in name:
        return address
    plain = name.isascii() and "=?" not in name
    return f"{_quoted(name) if plain else words('To', name)}\r\n <{address}>"


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
