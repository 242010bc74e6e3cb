"""Reading the `short_message` of what a handset or an SMS centre sent."""

from __future__ import annotations

from gateway.text import alphabet

# SMPP 3.4 section 5.2.19. What is binary (2, 4) has no text; Latin-1 shows every octet and loses none.
_CHARSETS = {
    0x00: "gsm7",
    0x01: "ascii",
    0x02: "latin-1",
    0x03: "latin-1",
    0x04: "latin-1",
    0x05: "shift_jis",
    0x06: "iso8859-5",
    0x07: "iso8859-8",
    0x08: "utf-16-be",
    0x09: "shift_jis",
    0x0A: "iso2022_jp",
    0x0D: "euc_jis_2004",
    0x0E: "euc_kr",
}


def decode(payload: bytes, data_coding: int, udhi: bool = False) -> str:
    """The text of one `short_message` (or `message_payload`); never raises.

    `udhi` says that a user data header stands before the text (esm_class 0x40); it is taken off. What the coding does
    not allow becomes U+FFFD, except that octets above 0x7F under data_coding 0 mean that the SMS centre's default
    alphabet is not GSM 7-bit: then the whole is read as Latin-1, which most of those use.
    """
    if udhi and payload and payload[0] < len(payload):
        payload = payload[1 + payload[0] :]
    charset = _charset(data_coding)
    if charset != "gsm7":
        return payload.decode(charset, "replace")
    return alphabet.decode(payload) if payload.isascii() else payload.decode("latin-1")


def _charset(data_coding: int) -> str:
    if data_coding < 0x10:
        return _CHARSETS.get(data_coding, "latin-1")
    # From here on SMS centres pass the handset's TP-DCS through (3GPP TS 23.038, clause 4).
    group, alphabet_bits = data_coding >> 4, data_coding >> 2 & 0b11
    if group <= 0x7:
        return ("gsm7", "latin-1", "utf-16-be", "gsm7")[alphabet_bits]
    if group == 0xE:
        return "utf-16-be"
    if group == 0xF:
        return "latin-1" if alphabet_bits & 1 else "gsm7"
    return "gsm7"
