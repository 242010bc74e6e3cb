"""`tocsin mailbox`, as far as no mail server is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "pass+word of jean"
KEYS = {"id", "account", "name", "host", "port", "tls", "auth", "user", "folders", "state", "since", "why"}
OAUTH = {"token_url": "https://id.example/token", "client_id": "tocsin", "refresh_token": "never shown"}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A password, and what OAuth needs."""
    (tmp_path / "store.key").write_text("a line of thirty-two characters, or some more\n")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "oauth.json").write_text(json.dumps(OAUTH))
    (tmp_path / "half.json").write_text(json.dumps({"token_url": "https://id.example/token"}))
    return {name: str(tmp_path / name) for name in ("password", "oauth.json", "half.json")}


@pytest.fixture
def add(tocsin: Any, jean: str, files: dict[str, str], tmp_path: Path) -> Any:
    """Adds mailboxes of Jean's; the answer."""
    config = tmp_path / "tocsin.toml"
    config.write_text(config.read_text().replace("[store]\n", f'[store]\nsecret_file = "{tmp_path / "store.key"}"\n'))

    def make(*words: str, user: str = "jean@example.org", password: bool = True) -> Any:
        login = ("--host", "imap.example.org", "--user", user, *words)
        return tocsin("mailbox", "add", jean, *login, *(("--password-file", files["password"]) if password else ()))

    return make


def test_a_mailbox_is_added_listed_and_removed_and_its_password_never_shown(tocsin: Any, add: Any) -> None:
    assert add().out == "jean@example.org\n"
    assert add("--tls", "starttls", "--folder", "inbox", "--folder", "Lists", user="work").code == 0
    listed = tocsin("mailbox", "list", "jean", "--json")
    first, second = listed.json
    assert set(first) == KEYS
    assert (first["port"], first["tls"], first["auth"], first["folders"]) == (993, "implicit", "login", ["INBOX"])
    assert (second["port"], second["tls"], second["folders"]) == (143, "starttls", ["INBOX", "Lists"])
    assert first["state"] == "connecting"
    assert PASSWORD not in listed.out + tocsin("mailbox", "list").out
    assert tocsin("mailbox", "remove", "jean", "work").code == 0
    assert [one["name"] for one in tocsin("mailbox", "list", "--json").json] == ["jean@example.org"]
    gone = tocsin("mailbox", "remove", "jean", "work")
    assert (gone.code, gone.err) == (1, "tocsin: jean has no mailbox work: tocsin mailbox list jean shows them\n")


def test_oauth_takes_its_file_and_no_password(add: Any, files: dict[str, str]) -> None:
    assert add("--auth", "xoauth2").code == 2
    assert add("--auth", "xoauth2", password=False).code == 2
    assert add("--auth", "xoauth2", "--oauth-file", files["oauth.json"], password=False).code == 0
    half = add("--auth", "oauthbearer", "--oauth-file", files["half.json"], password=False, user="half")
    assert half.code == 1
    assert "lacks client_id, refresh_token" in half.err
    assert add("--oauth-file", files["oauth.json"], user="both").code == 2
    assert add(password=False, user="none").code == 2


def test_a_password_is_replaced(tocsin: Any, add: Any, files: dict[str, str]) -> None:
    add()
    assert tocsin("mailbox", "set", "jean", "jean@example.org", "--password-file", files["password"]).code == 0
    assert tocsin("mailbox", "set", "jean", "jean@example.org").code == 2
    assert tocsin("mailbox", "set", "jean", "jean@example.org", "--oauth-file", files["oauth.json"]).code == 2
    assert tocsin("mailbox", "set", "jean", "other", "--password-file", files["password"]).code == 1


def test_a_host_inside_is_refused_and_said_how_to_allow_it(tocsin: Any, add: Any) -> None:
    add("--name", "inside", user="x")
    assert add("--host", "127.0.0.1", user="loopback").code == 0  # looked up for each connection, not when it is added
    tried = tocsin("mailbox", "test", "jean", "loopback", "--json")
    assert tried.code == 1
    assert tried.json["ok"] is False
    assert "an address inside: the operator has to allow it with allow_private_hosts = true" in tried.json["why"]


def test_without_a_key_no_password_is_stored(tocsin: Any, jean: str, files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "store.key").unlink()
    login = ("--host", "imap.example.org", "--user", "jean")
    refused = tocsin("mailbox", "add", jean, *login, "--password-file", files["password"])
    assert refused.code == 1
    assert "[store] secret_file" in refused.err
    assert tocsin("mailbox", "list", "--json").json == []
