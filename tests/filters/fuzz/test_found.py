"""What a fuzzer stumbled over, and some inputs with which it got furthest, are read at every run of the suite."""

from __future__ import annotations

import pathlib

import pytest

from filters.excerpt import excerpt
from filters.mail import Mail

CORPUS = sorted((pathlib.Path(__file__).parent / "corpus").glob("*.eml"))


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_what_a_fuzzer_found_is_read(file: pathlib.Path) -> None:
    mail = Mail.read(file.read_bytes())
    said = excerpt(mail)
    lines = [mail.subject, mail.message_id, mail.type, mail.stand_in, said.sender, said.subject]
    lines += [text for pairs in (mail.from_, mail.to, mail.cc) for pair in pairs for text in pair]
    lines += [text for one in mail.attachments for text in (one.name, one.type)]
    for line in lines:
        assert line == " ".join(line.split())
        line.encode()
    for text in (mail.text, mail.note, said.text):
        assert not any(ord(mark) < 32 and mark != "\n" for mark in text)
        text.encode()
