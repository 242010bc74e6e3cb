"""One failure type, with its audiences: what decides, what people read, what the log keeps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The only two kinds of failure."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something did not work.

    `code` is the peer's own (`0x00000058`, `550`), `text` one sentence for whoever sent the message, `detail` what
    the peer or the system literally said, for the log and the operator.
    """

    kind: Kind
    code: str
    text: str
    detail: str = ""


class RefusedError(Exception):
    """A request that is refused before anything is stored; `str()` is one plain sentence for people.

    `smtp` is the reply code with its enhanced status (RFC 3463), `http` the status of the API's answer.
    """

    def __init__(self, text: str, *, smtp: str = "550 5.7.1", http: int = 422) -> None:
        super().__init__(text)
        self.smtp = smtp
        self.http = http
