"""The command line on a real store: `tocsin("credit", "show", "jean")` runs it in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon import commands

CONFIGURATION = """\
[store]
url = "{url}"

[listen]
region = "BE"

[[route]]
name = "operator"
channels = ["sms"]
transport = "smpp"
host = "127.0.0.1"
port = 1
sender = "32475000000"
not_prefixes = ["+1"]

[[route]]
name = "france"
channels = ["sms"]
transport = "smpp"
host = "127.0.0.1"
port = 1
sender = "32475000000"
prefixes = ["+33"]
prices = {{ "+336" = 3 }}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be one JSON document."""
        return json.loads(self.out)


Tocsin = Callable[..., Answer]


@pytest.fixture
def configuration(sqlite_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration's file, with a fresh store, named by `$TOCSIN_CONFIG`."""
    path = tmp_path / "tocsin.toml"
    path.write_text(CONFIGURATION.format(url=sqlite_database))
    monkeypatch.setenv("TOCSIN_CONFIG", str(path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return path


@pytest.fixture
def tocsin(configuration: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tocsin:
    """Runs `tocsin` with these arguments; `stdin` is what it may read."""

    def run(*arguments: str, stdin: bytes = b"") -> Answer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        code = commands.run(list(arguments))
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def jean(tocsin: Tocsin) -> str:
    """An account with 20 units a month and 10 bought, in Brussels."""
    for arguments in (
        ["plan", "add", "basic", "--monthly", "20"],
        ["account", "add", "jean", "--email", "jean@example.org", "--plan", "basic", "--zone", "Europe/Brussels"],
        ["credit", "add", "jean", "10", "--reason", "a gift"],
    ):
        answer = tocsin(*arguments)
        assert answer.code == 0, answer.err
    return "jean"
