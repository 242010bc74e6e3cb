"""`tocsin check`, `migrate`, `status`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from daemon.commands.check import judge_store
from daemon.commands.connecting import connect_to
from daemon.config import load
from gateway.message import Channel
from gateway.routing import Route
from gateway.store import durability, migrate
from gateway.store.engine import open_engine, parse_url
from gateway.transports.smpp.centre import Centre

MAIL = (
    '[[route]]\nname = "mail"\nchannels = ["email"]\ntransport = "smtp"\nhost = "127.0.0.1"\nsender = "t@example.org"\n'
)


def findings(tocsin, *arguments: str) -> dict[str, str]:
    answer = tocsin("check", "--json", *arguments)
    wrong = [one for one in answer.json if one["level"] == "wrong"]
    assert answer.code == (1 if wrong else 0), answer.err
    assert answer.err.count("\n") == (1 if wrong else 0)
    return {one["subject"]: one["text"] for one in answer.json}


def test_what_is_in_order_says_so(tocsin, configuration) -> None:
    answer = tocsin("check")
    assert (answer.code, answer.out) == (0, f"{configuration} and the store are in order.\n")
    assert tocsin("check", "--json").json == []


def test_a_listener_without_a_route_for_reports_is_wrong(tocsin, configuration) -> None:
    text = configuration.read_text().replace(
        "[listen]", '[listen]\nsmtp = "127.0.0.1:0"\nsms_domain = "sms.example.org"'
    )
    configuration.write_text(text)
    assert "no route carries email" in findings(tocsin)["listen"]
    configuration.write_text(text + MAIL.replace('"smtp"', '"smpp"').replace("t@example.org", "32475000000"))
    assert "no mail reaches the postmaster" in findings(tocsin)["listen"]
    configuration.write_text(text.replace("[listen]", '[listen]\npostmaster = "root@example.org"') + MAIL)
    assert findings(tocsin) == {}


def test_a_postmaster_who_is_not_named_or_is_ourselves_is_told(tocsin, configuration) -> None:
    text = configuration.read_text().replace(
        "[listen]", '[listen]\nsmtp = "127.0.0.1:0"\nsms_domain = "sms.example.org"'
    )
    configuration.write_text(text + MAIL)
    assert findings(tocsin)["listen.postmaster"] == (
        "it is not set: mail to postmaster@sms.example.org goes to postmaster@example.org"
    )
    configuration.write_text(text.replace("[listen]", '[listen]\npostmaster = "me@sms.example.org"') + MAIL)
    assert "would come back here" in findings(tocsin)["listen.postmaster"]
    configuration.write_text(text + MAIL.replace("t@example.org", "t@sms.example.org"))
    assert "would come back here" in findings(tocsin)["listen.postmaster"]


def test_a_listener_without_a_domain_is_wrong(tocsin, configuration) -> None:
    text = configuration.read_text().replace("[listen]", '[listen]\nlmtp = "unix:/run/tocsin/lmtp.sock"')
    configuration.write_text(text + MAIL)
    assert "there is no domain" in findings(tocsin)["listen"]


def test_copies_that_nobody_may_send_are_noted(tocsin, configuration) -> None:
    text = configuration.read_text().replace("[listen]", '[listen]\nwatch_domain = "watch.example.org"')
    configuration.write_text(text)
    assert "no copy is taken from anywhere" in findings(tocsin)["listen.watch_domain"]
    configuration.write_text(text.replace("[listen]", '[listen]\nrelays = ["unix"]\nauthserv_id = "mx.example.org"'))
    assert findings(tocsin) == {}


def test_a_certificate_that_is_none_is_wrong(tocsin, configuration) -> None:
    (configuration.parent / "pem").write_text("nothing")
    text = configuration.read_text().replace("[listen]", '[listen]\ntls_certificate = "pem"\ntls_key = "pem"')
    configuration.write_text(text)
    assert "holds no certificate" in findings(tocsin)["listen.tls_certificate"]


def test_what_no_transport_can_carry_is_wrong(tocsin, configuration) -> None:
    fax = '[[route]]\nname = "fax"\nchannels = ["fax"]\ntransport = "hylafax"\nhost = "127.0.0.1"\n'
    configuration.write_text(configuration.read_text() + fax)
    assert "no transport hylafax" in findings(tocsin)["route fax"]


def test_a_store_that_is_missing_or_empty_says_which_command_to_run(tocsin, configuration) -> None:
    file = configuration.parent / "tocsin.db"
    file.unlink()
    assert "run tocsin migrate" in findings(tocsin)["store"] or "with tocsin migrate" in findings(tocsin)["store"]
    answer = tocsin("plan", "list", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "tocsin migrate" in answer.err
    assert not file.exists(), "looking must not make it"
    file.touch()
    assert tocsin("plan", "list").err == "tocsin: the store is empty: run tocsin migrate\n"
    made = tocsin("migrate")
    assert (made.code, made.out) == (0, f"The schema was not there, and is now at {migrate.head()}.\n")
    assert tocsin("migrate").out == f"The schema is at {migrate.head()} already.\n"
    assert tocsin("plan", "list", "--json").json == []


def test_a_file_that_is_no_database_is_said_to_be_none(tocsin, configuration) -> None:
    (configuration.parent / "tocsin.db").write_bytes(b"This is no database at all. " * 100)
    answer = tocsin("plan", "list")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1
    assert "not a database" in answer.err


def test_a_configuration_with_faults_lists_them_and_ends_with_2(tocsin, configuration) -> None:
    configuration.write_text(configuration.read_text().replace("port = 1\n", "port = 0\n").replace("BE", "XX"))
    answer = tocsin("check")
    assert (answer.code, answer.out) == (2, "")
    for key in ("listen.region", "route[0].port", "route[1].port"):
        assert key in answer.err


def test_no_configuration_at_all_is_said_with_a_sentence(tocsin, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOCSIN_CONFIG")
    monkeypatch.setattr("daemon.config.loading.USUAL", (tmp_path / "nowhere.toml",))
    answer = tocsin("plan", "list")
    assert answer.code == 2
    assert answer.err.startswith("tocsin: no configuration found")
    assert answer.err.count("\n") == 1


def test_the_command_lines_configuration_comes_first(tocsin, configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_CONFIG", "/no/such/file.toml")
    assert tocsin("plan", "list").code == 2
    assert tocsin("--config", str(configuration), "plan", "list").code == 0


def test_what_waits_on_a_route_that_is_gone_is_noted(tocsin, jean, configuration) -> None:
    tocsin("send", "--account", jean, "--sms", "+33612345678", "--text", "x")
    configuration.write_text(configuration.read_text().replace('"france"', '"elsewhere"'))
    assert "will route them anew" in findings(tocsin)["route france"]


def test_a_store_that_everybody_can_read_is_noted(tocsin, configuration) -> None:
    (configuration.parent / "tocsin.db").chmod(0o644)
    assert "chmod o-rwx" in findings(tocsin)["store"]


@pytest.fixture
def centre() -> Iterator[Centre]:
    """A stand-in SMS centre in a thread of its own, whose password is `right`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    one = Centre(password="right")
    asyncio.run_coroutine_threadsafe(one.__aenter__(), loop).result(10)
    yield one
    asyncio.run_coroutine_threadsafe(one.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_connect_says_of_every_route_whether_it_comes_up(tocsin, configuration, centre) -> None:
    text = configuration.read_text().replace("port = 1\n", f'port = {centre.port}\npassword = "right"\n', 1)
    configuration.write_text(text)
    found = findings(tocsin, "--connect")
    assert "bound as transceiver" in found["route operator"]
    assert "Connection refused" in found["route france"]
    assert "trying again" not in found["route france"]


def test_connect_says_that_the_password_is_wrong(centre) -> None:
    route = Route("r", frozenset({Channel.SMS}), "smpp", host="127.0.0.1", port=centre.port, password="wrong")
    up, why = asyncio.run(connect_to(route))
    assert not up
    assert "password" in why.lower() or "RINVPASWD" in why


def test_status_without_a_daemon_lists_every_route_as_down(tocsin, jean) -> None:
    tocsin("send", "--account", jean, "--sms", "+33612345678", "--text", "x")
    lines = tocsin("status", "--json").json
    assert [(one["kind"], one["name"], one["state"], one["backlog"]) for one in lines] == [
        ("route", "france", "down", 1),
        ("route", "operator", "down", 0),
    ]
    assert all(set(one) == {"kind", "name", "node", "state", "since", "why", "backlog", "rate"} for one in lines)
    assert "no tocsin serve works on it" in tocsin("status").out


# PostgreSQL


@pytest.mark.peer("postgresql")
def test_a_postgresql_that_would_lose_commits_is_wrong(postgresql_database: str, tmp_path: Path) -> None:
    """The cluster of the tests runs without fsync, which is what an operator must be told."""
    path = tmp_path / "tocsin.toml"
    path.write_text(f'[store]\nurl = "{postgresql_database}"\n')
    told = [finding.text for finding in judge_store(load(path, {})) if finding.level == "wrong"]
    assert [text.partition(":")[0] for text in told] == [
        "PostgreSQL runs with fsync off",
        "PostgreSQL runs with full_page_writes off",
    ]


@pytest.mark.peer("postgresql")
def test_a_session_of_ones_own_is_no_pool(postgresql_database: str) -> None:
    engine = open_engine(parse_url(postgresql_database))
    assert not any("proxy" in text for text in durability.faults(engine))
    engine.dispose()


@pytest.mark.peer("postgresql")
def test_a_proxy_that_pools_transactions_is_found(postgresql_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clients that get the same server session in turn, as a transaction pool lends it."""
    engine = open_engine(parse_url(postgresql_database))
    shared: list[psycopg.Connection] = []

    class Lent:
        """What SQLAlchemy's pool asks of a connection, on one session for all."""

        def __init__(self) -> None:
            if not shared:
                url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
                shared.append(psycopg.connect(url))

        def exec_driver_sql(self, statement: str):
            cursor = shared[0].execute(statement)

            class Result:
                def scalar_one(self):
                    return cursor.fetchone()[0]

            return Result()

        def commit(self) -> None:
            shared[0].commit()

        def rollback(self) -> None:
            shared[0].rollback()

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(engine, "connect", Lent)
    assert any("pools transactions" in text for text in durability.faults(engine))
    shared[0].close()
    engine.dispose()
