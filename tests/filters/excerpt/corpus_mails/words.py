"""The words of the corpus: what people write, and what programs write around it, a file for each language."""

from __future__ import annotations

import pathlib
import tomllib
from dataclasses import dataclass
from typing import Any

LANGUAGES = ("en", "fr", "nl", "de", "es", "it", "da")
_FOLDER = pathlib.Path(__file__).parent / "languages"


@dataclass(frozen=True)
class Words:
    """The words of one language; `me` wrote the mail, `other` what it answers."""

    language: str
    table: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.table[key]

    @property
    def me(self) -> str:
        return str(self.table["me"][0])

    @property
    def my_address(self) -> str:
        return str(self.table["me"][1])

    @property
    def other(self) -> str:
        return str(self.table["other"][0])

    @property
    def other_address(self) -> str:
        return str(self.table["other"][1])

    def wrote(self, program: str, turn: int = 0) -> str:
        """The line with which a program introduces what the other wrote."""
        line = self.table[program]
        line = line[turn % len(line)] if isinstance(line, list) else line
        return str(line).format(name=self.other, address=self.other_address)

    def pick(self, key: str, turn: int) -> str:
        """One of several; which one, goes by turns."""
        return str(self.table[key][turn % len(self.table[key])])

    def fields(self, *, date: str = "", bold: str = "", with_cc: bool = False, address: str = " <{}>") -> list[str]:
        """The other's mail's fields, as Outlook writes them out; `bold` stands around each name."""
        names, colon = self.table["fields"], self.table["colon"]
        values = {
            "from": self.other + address.format(self.other_address),
            "date": date or self.table["long_date"],
            "to": self.me + address.format(self.my_address),
            "cc": f"Team{address.format('team@example.net')}",
            "subject": self.table["subject"],
        }
        return [f"{bold}{names[key]}{colon}{bold} {value}" for key, value in values.items() if key != "cc" or with_cc]


def read(language: str) -> Words:
    """The words of a language."""
    return Words(language, tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8")))
