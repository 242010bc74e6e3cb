"""The shipped units under a real systemd: booted by systemd-nspawn from this machine's own files, gone afterwards.

`probe.py` runs inside and writes down what it saw; the tests here say what it should have seen. It is one boot of some
twenty seconds: sockets handed over, credentials, the sandbox, readiness, reload, watchdog, drain, the journal.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "systemd"
HERE = Path(__file__).parent

pytestmark = [pytest.mark.peer("systemd-nspawn"), pytest.mark.timeout(300)]

PYTHON = "/usr/bin/env -S LD_LIBRARY_PATH=/opt/tocsin/python/lib /opt/tocsin/venv/bin/python"

PROBE = """\
[Unit]
Wants=basic.target
After=basic.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart={python} /probe/probe.py /results
TimeoutStartSec=240s
"""

#: What an operator would write with `systemctl edit tocsin`, and shorter times than anybody would want to run with.
DROP_IN = """\
[Service]
LoadCredential=operator:/etc/tocsin/credentials/operator
WatchdogSec=3s
TimeoutAbortSec=2s
RestartSec=1s
"""


def nspawn(*arguments: str) -> list[str]:
    return [
        "systemd-nspawn",
        *("--quiet", "--register=no", "--keep-unit", "--directory=/", "--volatile=yes", "--private-network"),
        f"--machine=tocsin-test-{os.getpid()}",
        *arguments,
    ]


def require_nspawn() -> None:
    if shutil.which("systemd-nspawn") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-nspawn is absent: make peers")
        pytest.skip("systemd-nspawn is absent: make peers")
    if os.geteuid() != 0:
        pytest.skip("systemd-nspawn needs root")
    tried = subprocess.run(nspawn("/usr/bin/true"), capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode:
        pytest.skip(f"the kernel lets no systemd-nspawn start here: {tried.stderr.strip()[-200:]}")


def installed_below_opt(folder: Path) -> list[str]:
    """Puts this checkout where `make install` would, as far as a running systemd can tell: bind mounts below /opt.

    Python itself may lie in a home directory, which the service cannot see, so it is bound to another place too, and
    told where its own shared library is now.
    """
    venv = folder / "venv"
    python = Path(sys.base_prefix)
    binds = [f"{ROOT}:/opt/tocsin/src", f"{sysconfig.get_path('purelib')}:/opt/tocsin/libraries"]
    if python != Path("/usr"):
        binds.append(f"{python}:/opt/tocsin/python")
        python = Path("/opt/tocsin/python")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = venv / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "tocsin.pth").write_text("/opt/tocsin/src\n/opt/tocsin/libraries\n")
    (venv / "pyvenv.cfg").write_text(f"home = {python}/bin\ninclude-system-site-packages = false\n")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(python / "bin" / version)
    script = (Path(sys.prefix) / "bin" / "tocsin").read_text().splitlines(keepends=True)
    program = venv / "bin" / "tocsin"
    program.write_text("".join([f"#!{PYTHON}\n", *script[1:]]))
    program.chmod(0o755)
    return [f"--bind-ro={bind}" for bind in [*binds, f"{venv}:/opt/tocsin/venv"]]


def configured(folder: Path) -> list[str]:
    """The units, accounts and directories as shipped; beside them the probe, the drop-in, and a Postfix account."""
    (folder / "probe.service").write_text(PROBE.format(python=PYTHON))
    (folder / "drop-in.conf").write_text(DROP_IN)
    (folder / "postfix.conf").write_text('u postfix - "Postfix" /var/spool/postfix\n')
    system = "/etc/systemd/system"
    binds = {
        **{str(unit): f"{system}/{unit.name}" for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.socket")]},
        str(UNITS / "sysusers.d" / "tocsin.conf"): "/etc/sysusers.d/tocsin.conf",
        str(UNITS / "tmpfiles.d" / "tocsin.conf"): "/etc/tmpfiles.d/tocsin.conf",
        str(UNITS / "tocsin.sh"): "/opt/tocsin/bin/tocsin",
        str(HERE / "probe.py"): "/probe/probe.py",
        str(folder / "probe.service"): f"{system}/probe.service",
        str(folder / "drop-in.conf"): f"{system}/tocsin.service.d/test.conf",
        str(folder / "postfix.conf"): "/etc/sysusers.d/postfix.conf",
    }
    return [f"--bind-ro={source}:{place}" for source, place in binds.items()]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    require_nspawn()
    folder = tmp_path_factory.mktemp("nspawn")
    results = folder / "results"
    results.mkdir()
    kernel_line = ["systemd.firstboot=no", "systemd.condition-first-boot=no", "systemd.unit=probe.service"]
    command = nspawn(
        *installed_below_opt(folder), *configured(folder), f"--bind={results}:/results", "--boot", *kernel_line
    )
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, errors="replace", check=False
    )
    found = results / "seen.json"
    assert found.exists(), f"the probe wrote nothing down: {done.stdout[-3000:]}{done.stderr[-1000:]}"
    result: dict[str, Any] = json.loads(found.read_text())
    journal = (results / "journal.txt").read_text()
    assert "error" not in result, f"{result['error']}\n{journal[-6000:]}"
    return result


ACCEPTED = ["220", "250", "250", "250", "354", "250", "221"]


def codes(replies: list[str]) -> list[str]:
    return [reply[:3] for reply in replies]


def test_a_connection_from_postfixs_chroot_starts_the_service_and_its_mail_is_taken(seen: dict[str, Any]) -> None:
    activation = seen["activation"]
    assert (activation["mode"], activation["group"]) == ("0o660", "postfix")
    assert activation["before"] == "inactive"
    assert codes(activation["replies"]) == ACCEPTED
    assert b"The first one".hex() in seen["submitted"][0]


def test_nobody_but_postfix_reaches_the_lmtp_socket(seen: dict[str, Any]) -> None:
    (refused,) = seen["activation"]["stranger"]
    assert refused.startswith("PermissionError")


def test_the_service_is_ready_in_its_sandbox_and_says_how_it_is(seen: dict[str, Any]) -> None:
    unit = seen["activation"]["unit"]
    assert (unit["ActiveState"], unit["SubState"], unit["NRestarts"]) == ("active", "running", "0")
    assert unit["StatusText"]


def test_the_credential_reaches_the_sms_centre(seen: dict[str, Any]) -> None:
    assert set(seen["activation"]["passwords"]) == {"pr0be5ay"}


def test_what_root_does_on_the_command_line_stays_within_the_services_reach(seen: dict[str, Any]) -> None:
    assert seen["activation"]["store"] == "tocsin"
    assert seen["hand"]["check"] == [0, ""]
    assert {row["kind"] for row in seen["hand"]["status"]} >= {"route", "listener"}


def test_a_reload_is_told_whether_it_was_any_good_and_keeps_the_process(seen: dict[str, Any]) -> None:
    reload = seen["reload"]
    assert reload["good"] == [0, ""]
    assert reload["bad"] != 0
    assert reload["fault shown"]
    assert reload["same process"]
    assert reload["unit"] == {"ActiveState": "active", "SubState": "running"}
    assert codes(reload["replies"]) == ACCEPTED


def test_what_the_reload_brought_is_used(seen: dict[str, Any]) -> None:
    before, after, *_ = seen["submitted"]
    assert b"32475000000\0".hex() in before
    assert b"32475000001\0".hex() in after


def test_a_process_that_hangs_is_killed_and_started_again_and_no_mail_is_refused(seen: dict[str, Any]) -> None:
    watchdog = seen["watchdog"]
    assert watchdog["said"]
    assert watchdog["another process"]
    assert watchdog["restarts"] == "1"
    assert codes(watchdog["replies"]) == ACCEPTED


def test_a_stop_waits_for_the_answer_that_is_owed_and_ends_well(seen: dict[str, Any]) -> None:
    stop = seen["stop"]
    assert stop["seconds"] < 30
    assert stop["answered"] == 1
    assert stop["unbound"] >= 1
    assert stop["unit"] == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
    assert stop["states"] == ["accepted"] * 4
    assert not stop["socket"]


def test_the_journal_has_fields_to_ask_for_and_no_secret(seen: dict[str, Any]) -> None:
    journal = seen["journal"]
    assert {"ready", "stopping"} <= set(journal["actions"])
    assert journal["identifiers"] == ["tocsin"]
    assert not journal["secret"]
