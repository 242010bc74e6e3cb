"""A fuzzer for the mail view: any octets must be read without an exception, in bounded time, into harmless strings.

Needs atheris (the dependency group `fuzz`), which the suite does not: what it found lies in `corpus/`, and
`test_found.py` reads all of it at every run. For five minutes, from the root of the checkout:

    nice python tests/filters/fuzz/fuzz_mail.py -max_total_time=300 -max_len=8192 -timeout=2 FOLDER CORPUS

CORPUS is `tests/filters/fuzz/corpus`. New interesting inputs go to FOLDER, what breaks something to `crash-…` and
`timeout-…` files where it is started.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from typing import Any

import atheris

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

with atheris.instrument_imports(include=["filters", "mailparser"]):
    from filters import mail as mails
    from filters.excerpt import excerpt

#: What mail-parser and the standard library are known to raise on damaged mails; the view is made without them then.
_THEIRS = ("mailparser", "email/", "encodings/")


def _watched(work: Callable[[], Any], otherwise: Any) -> Any:
    """Like the view's own net, but what falls into it from our own code is let through to the fuzzer."""
    try:
        return work()
    except Exception as error:
        trace, last = error.__traceback__, ""
        while trace is not None:
            last = trace.tb_frame.f_code.co_filename
            trace = trace.tb_next
        if not any(name in last for name in _THEIRS):
            raise
        return otherwise


def read(octets: bytes) -> None:
    """Read one input; AssertionError where a string could do harm further on."""
    mail = mails.Mail.read(octets)
    said = excerpt(mail)
    lines = [mail.subject, mail.message_id, mail.stand_in, said.sender, said.subject]
    lines += [
        text for field in (mail.from_, mail.to, mail.cc, mail.reply_to, mail.sender) for pair in field for text in pair
    ]
    lines += [text for attachment in mail.attachments for text in (attachment.name, attachment.type)]
    for line in lines:
        assert line == " ".join(line.split()), f"more than one line: {line!r}"
        line.encode()
    for text in (mail.text, said.text):
        assert not any(ord(mark) < 32 and mark != "\n" for mark in text), f"control characters: {text!r}"
        assert text.isascii() or not any(mark in text for mark in "\x85\u2028\u2029"), f"line breaks: {text!r}"
        text.encode()


def main() -> None:
    """Run until told to stop, as the options say (libFuzzer's)."""
    mails._tried = _watched
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
