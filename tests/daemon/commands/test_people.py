"""`tocsin plan`, `account`, `credit`, `token`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import accounts
from gateway.store.engine import open_engine, parse_url


def password_of(configuration: Path) -> str | None:
    engine = open_engine(parse_url(f"sqlite:///{configuration.parent / 'tocsin.db'}"))
    with engine.connect() as connection:
        found: str | None = connection.exec_driver_sql("SELECT password FROM account").scalar_one()
    engine.dispose()
    return found


def test_plans_are_added_once_and_listed(tocsin) -> None:
    assert tocsin("plan", "add", "basic", "--monthly", "20").out == ""
    again = tocsin("plan", "add", "basic", "--monthly", "30")
    assert (again.code, again.err) == (1, "tocsin: there is a plan basic already\n")
    assert tocsin("plan", "list", "--json").json == [{"name": "basic", "monthly": 20}]


def test_an_account_shows_everything_that_was_given(tocsin, jean) -> None:
    given = ("--mobile", "0475 12 34 56", "--region", "be", "--signature", "Jean", "--text", "both")
    assert tocsin("account", "set", jean, *given, "--email", "J@Example.org", "--email", "b@example.org").code == 0
    shown = tocsin("account", "show", jean, "--json").json
    assert shown.pop("created").endswith("Z")
    assert shown == {
        "id": "1",
        "name": "jean",
        "emails": ["j@example.org", "b@example.org"],
        "mobile": "+32475123456",
        "plan": "basic",
        "monthly": 20,
        "zone": "Europe/Brussels",
        "region": "BE",
        "language": "en",
        "max_parts": 6,
        "signature": "Jean",
        "text": "both",
        "transliterate": True,
        "cap_hour": 5,
        "cap_day": 20,
        "notify_new_mail": False,
        "quiet": None,
    }
    assert [one["name"] for one in tocsin("account", "list", "--json").json] == ["jean"]


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("--max-parts", "3", 3),
        ("--cap-hour", "7", 7),
        ("--cap-day", "70", 70),
        ("--language", "fr", "fr"),
        ("--zone", "America/Lima", "America/Lima"),
        ("--plan", "", None),
        ("--signature", "", ""),
    ],
)
def test_each_setting_can_be_changed_alone(tocsin, jean, option, value, shown) -> None:
    before = tocsin("account", "show", jean, "--json").json
    assert tocsin("account", "set", jean, option, value).code == 0
    after = tocsin("account", "show", jean, "--json").json
    key = option[2:].replace("-", "_")
    assert after[key] == shown
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {key, "monthly"}


def test_a_mobile_and_a_region_can_be_taken_away(tocsin, jean) -> None:
    tocsin("account", "set", jean, "--mobile", "0475123456", "--region", "BE")
    assert tocsin("account", "set", jean, "--mobile", "", "--region", "").code == 0
    shown = tocsin("account", "show", jean, "--json").json
    assert (shown["mobile"], shown["region"]) == (None, None)


def test_a_national_mobile_is_read_in_the_accounts_own_region_first(tocsin, jean) -> None:
    tocsin("account", "set", jean, "--region", "FR")
    assert tocsin("account", "set", jean, "--mobile", "06 12 34 56 78").code == 0
    assert tocsin("account", "show", jean, "--json").json["mobile"] == "+33612345678"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-parts", "0"], "max-parts is 0"),
        (["--zone", "Mars/Olympus"], "'Mars/Olympus' is no time zone"),
        (["--plan", "gold"], "there is no plan gold"),
        (["--region", "QQ"], "QQ is no region"),
        (["--email", "nobody"], "'nobody' is no mail address"),
        (["--mobile", "12"], "12"),
        (["--text", "all"], "text is 'all'"),
        (["--password-file", "/no/such/file"], "/no/such/file cannot be read: no such file or directory"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_one_sentence(tocsin, jean, arguments, said) -> None:
    answer = tocsin("account", "set", jean, *arguments)
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.startswith("tocsin: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err


def test_nothing_to_change_is_wrong_use(tocsin, jean) -> None:
    assert tocsin("account", "set", jean).code == 2


def test_the_password_comes_from_a_file_or_stdin_and_is_kept_hashed(tocsin, jean, configuration) -> None:
    file = configuration.parent / "password"
    file.write_text("correct horse\n")
    assert tocsin("account", "set", jean, "--password-file", str(file)).code == 0
    first = password_of(configuration)
    assert first is not None
    assert first.startswith("$argon2id$")
    assert tocsin("account", "set", jean, "--password-file", "-", stdin=b"battery staple\n").code == 0
    second = password_of(configuration)
    assert second != first
    assert accounts.PasswordHasher().verify(second, "battery staple")


def test_an_address_belongs_to_one_account(tocsin, jean) -> None:
    answer = tocsin("account", "add", "marie", "--email", "JEAN@example.org")
    assert (answer.code, answer.err) == (1, "tocsin: jean@example.org belongs to another account already\n")
    assert [one["name"] for one in tocsin("account", "list", "--json").json] == ["jean"]


def test_an_account_is_removed_only_when_nothing_of_it_is_on_its_way(tocsin, jean) -> None:
    tocsin("send", "--account", jean, "--sms", "+32475123456", "--text", "x")
    refused = tocsin("account", "remove", jean)
    assert refused.code == 1
    assert "tocsin queue cancel --account jean" in refused.err
    assert tocsin("queue", "cancel", "--account", jean).code == 0
    assert tocsin("account", "remove", jean).code == 0
    assert tocsin("account", "list", "--json").json == []
    assert tocsin("message", "list", "--json").json == []


def test_credit_is_shown_in_the_agreed_form(tocsin, jean) -> None:
    tocsin("send", "--account", jean, "--sms", "+32475123456", "--text", "x")
    shown = tocsin("credit", "show", jean, "--json").json
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["allotment"].pop("ends"))
    assert shown == {
        "allotment": {"granted": 20, "used": 0, "reserved": 1, "left": 19},
        "provision": {"bought": 10, "used": 0, "reserved": 0, "left": 10},
        "left": 29,
    }


def test_the_ledger_adds_up_to_what_is_left(tocsin, jean) -> None:
    message = tocsin("send", "--account", jean, "--sms", "+32475123456", "--text", "x" * 400).out.strip()
    tocsin("credit", "add", jean, "-4", "--reason", "a mistake")
    entries = tocsin("credit", "ledger", jean, "--json").json
    assert [set(entry) for entry in entries] == [{"at", "kind", "pot", "units", "message", "reason"}] * len(entries)
    told = [(entry["kind"], entry["pot"], entry["units"], entry["message"]) for entry in entries]
    assert told == [
        ("grant", "allotment", 20, None),
        ("grant", "provision", 10, None),
        ("reserve", "allotment", -3, message),
        ("grant", "provision", -4, None),
    ]
    assert sum(entry["units"] for entry in entries) == tocsin("credit", "show", jean, "--json").json["left"] == 23


def test_what_is_not_there_cannot_be_taken_away(tocsin, jean) -> None:
    answer = tocsin("credit", "add", jean, "-11", "--reason", "too much")
    assert (answer.code, answer.err) == (1, "tocsin: only 10 bought units are left: 11 cannot be taken away\n")


def test_a_token_is_printed_once_and_alone(tocsin, jean) -> None:
    secret = tocsin("token", "add", jean, "--name", "cron").out
    assert re.fullmatch(r"tocsin_[\w-]{43}\n", secret)
    listed = tocsin("token", "list", jean, "--json")
    assert secret.strip() not in listed.out
    assert [(one["account"], one["name"], one["revoked"]) for one in listed.json] == [("jean", "cron", None)]


@pytest.mark.parametrize("by", [["1"], ["jean", "1"], ["jean", "cron"]])
def test_a_token_is_revoked_by_id_or_name_and_only_once(tocsin, jean, by) -> None:
    tocsin("token", "add", jean, "--name", "cron")
    assert tocsin("token", "revoke", *by).code == 0
    assert tocsin("token", "list", "--json").json[0]["revoked"] is not None
    again = tocsin("token", "revoke", *by)
    assert again.code == 1
    assert "still good" in again.err


def test_who_does_not_exist_is_refused_everywhere(tocsin) -> None:
    for arguments in (
        ["account", "show", "bob"],
        ["account", "set", "bob", "--cap-day", "1"],
        ["account", "remove", "bob"],
        ["credit", "show", "bob"],
        ["credit", "ledger", "bob"],
        ["token", "add", "bob"],
        ["send", "--account", "bob", "--sms", "+32475123456", "--text", "x"],
        ["message", "list", "--account", "bob"],
        ["queue", "hold", "--account", "bob"],
    ):
        answer = tocsin(*arguments)
        assert (answer.code, answer.out, answer.err) == (
            1,
            "",
            "tocsin: there is no account bob: tocsin account list shows them all\n",
        )
