"""The configuration's file: found, read, filled with defaults, its secrets from files."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from daemon import config
from daemon.config import Address, Configuration, ConfigurationError
from daemon.config.loading import find
from daemon.peers import Peer
from filters.durations import Duration
from gateway.message import Channel
from gateway.routing import Route

SMPP = '[[route]]\nname = "operator"\nchannels = ["sms"]\ntransport = "smpp"\nhost = "smsc.example.net"\n'


@pytest.fixture
def load(tmp_path: Path):
    def read(text: str, **environment: str) -> Configuration:
        path = tmp_path / "tocsin.toml"
        path.write_text(text)
        return config.load(path, environment)

    return read


def test_an_empty_file_is_all_defaults(load) -> None:
    found = load("")
    assert found.store.url.get_secret_value() == "sqlite:////var/lib/tocsin/tocsin.db"
    assert (found.store.keep, found.store.keys) == (Duration(months=12), ())
    assert (found.listen.smtp, found.listen.max_size, found.listen.max_recipients) == (None, 10_485_760, 1000)
    assert (found.watch.poll, found.calendars.late) == (timedelta(minutes=5), timedelta(hours=1))
    assert (found.log.format, found.log.level) == ("text", "info")
    assert Peer(ip_address("127.9.9.9")) in found.console.metrics_networks
    assert Peer(ip_address("192.0.2.1")) not in found.console.metrics_networks
    assert found.routes == ()


def test_the_documented_sample_is_valid(tmp_path: Path) -> None:
    """The sample of docs/configuration.md, with the files it names."""
    page = Path(__file__).parents[3] / "docs" / "configuration.md"
    sample = re.search(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    assert sample is not None
    (tmp_path / "tocsin.toml").write_text(sample[1])
    for name in ("operator", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("secret\n")
    found = config.load(tmp_path / "tocsin.toml", {})
    (route,) = found.routes
    assert route == Route(
        name="operator",
        channels=frozenset({Channel.SMS}),
        transport="smpp",
        host="smsc.example.net",
        password="secret",
        rate=100.0,
        sender="32475000000",
        not_prefixes=("+1",),
        prices={"+33": 2},
        status={0x45: "transient"},
    )
    assert found.listen.smtp == Address("127.0.0.1", 8025)
    assert found.listen.lmtp == Address(path=Path("/run/tocsin/lmtp.sock"))
    assert found.listen.tls_certificate == tmp_path / "cert.pem"
    assert "secret" in found.secrets


def test_a_routes_port_and_price_are_what_is_usual(load) -> None:
    found = load(
        SMPP
        + '[[route]]\nname = "m"\nchannels = ["email"]\ntransport = "smtp"\nhost = "mx"\nsender = "t@example.org"\n'
        + '[[route]]\nname = "h"\nchannels = ["fax"]\ntransport = "hylafax"\nhost = "fax"\n'
        + '[[route]]\nname = "t"\nchannels = ["fax"]\ntransport = "t37"\nport = 2525\nprice = 4\n'
    )
    assert [(route.port, route.price) for route in found.routes] == [(2775, 1), (25, 0), (4559, 1), (2525, 4)]


@pytest.mark.parametrize(
    ("written", "read"), [("secret", "secret"), ("secret\n", "secret"), ("a\nb\r\n", "a\nb"), (" s \n\n", " s \n")]
)
def test_a_secret_may_stand_in_a_file_whose_last_line_break_does_not_count(load, tmp_path, written, read) -> None:
    (tmp_path / "operator").write_bytes(written.encode())
    found = load(SMPP + 'password_file = "operator"\n')
    assert found.routes[0].password == read


def test_credentials_come_before_what_lies_beside_the_configuration(load, tmp_path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (tmp_path / "operator").write_text("beside")
    (tmp_path / "url").write_text("sqlite:////somewhere/else.db\n")
    (credentials / "operator").write_text("handed")
    text = SMPP + 'password_file = "operator"\n[store]\nurl_file = "url"\n'
    found = load(text, CREDENTIALS_DIRECTORY=str(credentials))
    assert found.routes[0].password == "handed"
    assert found.store.url.get_secret_value() == "sqlite:////somewhere/else.db"
    assert load(text).routes[0].password == "beside"


def test_store_keys_are_read_one_a_line(load, tmp_path) -> None:
    assert load("").store.keys == ()
    (tmp_path / "store.key").write_text(f"{'a' * 32}\n\n{'b' * 40}\n")
    assert load("").store.keys == ("a" * 32, "b" * 40)
    (tmp_path / "other").write_text("c" * 32)
    assert load('[store]\nsecret_file = "other"\n').store.keys == ("c" * 32,)


def test_secrets_are_never_shown(load) -> None:
    found = load(SMPP + 'password = "hunter2"\n[store]\nurl = "postgresql://tocsin:hunter3%40@db/tocsin"\n')
    assert "hunter" not in repr(found)
    assert "hunter" not in str(found.route[0])
    assert "hunter" not in repr(found.routes)
    assert {"hunter2", "hunter3%40", "hunter3@"} <= found.secrets


def test_the_file_is_looked_for_in_the_usual_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("daemon.config.loading.USUAL", (Path("tocsin.toml"), tmp_path / "etc.toml"))
    environment = {"TOCSIN_CONFIG": "/from/environment.toml"}
    assert find(Path("given.toml"), environment) == Path("given.toml")
    assert find(None, environment) == Path("/from/environment.toml")
    with pytest.raises(ConfigurationError, match="no configuration found"):
        find(None, {})
    (tmp_path / "etc.toml").touch()
    assert find(None, {}) == tmp_path / "etc.toml"
    (tmp_path / "tocsin.toml").touch()
    assert find(None, {}) == Path("tocsin.toml")


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("192.0.2.7", True), ("192.0.3.7", False), ("2001:db8::1", True), ("2001:db8::2", False)],
)
def test_networks_know_their_peers(load, peer, trusted) -> None:
    found = load('[listen]\ntrusted_networks = ["192.0.2.0/24", "2001:db8::1", "unix"]\n')
    assert (Peer(ip_address(peer)) in found.listen.trusted_networks) is trusted
    assert Peer(unix=True) in found.listen.trusted_networks


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:25", Address("127.0.0.1", 25)),
        ("[::1]:8025", Address("::1", 8025)),
        (":25", Address("", 25)),
        ("*:25", Address("", 25)),
        ("mx.example.org:0", Address("mx.example.org", 0)),
        ("unix:/run/t/s", Address(path=Path("/run/t/s"))),
        ("systemd:smtp", Address(name="smtp")),
    ],
)
def test_addresses_are_read_and_written_again(load, written, address) -> None:
    found = load(f'[listen]\nsmtp = "{written}"\n').listen.smtp
    assert found == address
    assert str(found) == written.replace("*", "")


def test_domains_are_folded(load) -> None:
    assert load('[listen]\nsms_domain = "SMS.Example.org."\n').listen.sms_domain == "sms.example.org"
    assert load('[listen]\nsms_domain = "sms.bücher.example"\n').listen.sms_domain == "sms.xn--bcher-kva.example"
