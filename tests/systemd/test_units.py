"""The units as systemd itself reads them, and what they promise the operator."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "systemd"

pytestmark = pytest.mark.peer("systemd-analyze")


@pytest.fixture(scope="module", autouse=True)
def systemd_analyze() -> str:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is absent: make peers")
        pytest.skip("systemd-analyze is absent: make peers")
    return tool


def settings(unit: str) -> dict[str, list[str]]:
    """A unit's assignments, every value a key was given."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text().splitlines():
        if re.match(r"[A-Z]\w+=", line):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def at_hand(unit: Path) -> str:
    """The unit with the programs where they are here: verify wants them to be there. All else is as shipped."""
    text = unit.read_text().replace("/opt/tocsin/venv/bin/", f"{sys.prefix}/bin/")
    return text.replace("/opt/tocsin/bin/tocsin", str(UNITS / "tocsin.sh"))


def test_systemd_finds_nothing_to_say_about_the_units(systemd_analyze: str, tmp_path: Path) -> None:
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.socket")]:
        (tmp_path / unit.name).write_text(at_hand(unit))
    command = [systemd_analyze, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # An unknown key is only a remark on stderr: the exit status alone says nothing.
    assert (done.returncode, done.stderr) == (0, "")


def test_verify_would_notice_a_wrong_key(systemd_analyze: str, tmp_path: Path) -> None:
    wrong = tmp_path / "tocsin.service"
    wrong.write_text(at_hand(UNITS / "tocsin.service").replace("PrivateTmp=yes", "PrivateTemp=yes"))
    command = [systemd_analyze, "verify", "--man=no", str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "PrivateTemp" in done.stderr


def test_the_services_exposure_is_at_most_one_and_a_half(systemd_analyze: str) -> None:
    command = [systemd_analyze, "security", "--offline=true", "--threshold=15", "--no-pager"]
    done = subprocess.run(
        [*command, str(UNITS / "tocsin.service")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_manager_waits_longer_than_the_daemon_drains() -> None:
    (seconds,) = settings("tocsin.service")["TimeoutStopSec"]
    assert int(seconds.removesuffix("s")) > 30


def test_the_service_runs_from_its_own_environment_and_sees_no_other() -> None:
    service = settings("tocsin.service")
    assert service["ExecStart"] == ["/opt/tocsin/venv/bin/tocsin serve"]
    assert "PYTHONPATH" not in " ".join(service["Environment"])


def test_the_lmtp_socket_is_postfixs_alone_and_within_its_chroot() -> None:
    socket = settings("tocsin-lmtp.socket")
    assert socket["ListenStream"] == ["/var/spool/postfix/tocsin/lmtp"]
    assert (socket["SocketGroup"], socket["SocketMode"]) == (["postfix"], ["0660"])


@pytest.mark.parametrize("name", ["http", "lmtp", "smtp"])
def test_a_socket_is_handed_over_under_the_name_the_configuration_asks_for(name: str) -> None:
    socket = settings(f"tocsin-{name}.socket")
    assert (socket["FileDescriptorName"], socket["Service"]) == ([name], ["tocsin.service"])
    assert "Accept" not in socket


def test_the_account_is_described_as_sysusers_reads_it(tmp_path: Path) -> None:
    tool = shutil.which("systemd-sysusers")
    assert tool is not None
    (tmp_path / "etc").mkdir()
    command = [tool, f"--root={tmp_path}", str(UNITS / "sysusers.d" / "tocsin.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (entry,) = (tmp_path / "etc" / "passwd").read_text().splitlines()
    name, _, _, _, _, home, shell = entry.split(":")
    assert (name, home, shell) == ("tocsin", "/var/lib/tocsin", "/usr/sbin/nologin")


def test_the_directories_are_made_as_tmpfiles_reads_them(tmp_path: Path) -> None:
    tool = shutil.which("systemd-tmpfiles")
    assert tool is not None
    if os.geteuid() != 0:
        pytest.skip("giving directories to root and tocsin needs root, which the kernel does not grant here")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\ntocsin:x:4711:4711::/:/bin/sh\n")
    (tmp_path / "etc" / "group").write_text("root:x:0:\ntocsin:x:4711:\n")
    command = [tool, "--create", f"--root={tmp_path}", str(UNITS / "tmpfiles.d" / "tocsin.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = {name: (tmp_path / name).stat() for name in ("etc/tocsin", "etc/tocsin/credentials", "var/lib/tocsin")}
    made = {name: (oct(about.st_mode & 0o777), about.st_uid, about.st_gid) for name, about in found.items()}
    assert made == {
        "etc/tocsin": ("0o750", 0, 4711),
        "etc/tocsin/credentials": ("0o700", 0, 0),
        "var/lib/tocsin": ("0o750", 4711, 4711),
    }
