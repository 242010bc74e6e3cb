"""Which peer servers are here. A test says by `@pytest.mark.peer("name")` whom it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
CYRUS = ROOT / ".peers" / "cyrus"
NODE_SMPP = ROOT / ".peers" / "node_modules" / "smpp"


_EVERYWHERE = f"{os.environ.get('PATH', '')}:/usr/sbin"


def _command(*names: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(name) for name in names)


def _postgresql() -> bool:
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb") is not None


def _dovecot() -> bool:
    # It changes to its users, too.
    sieve = any(Path("/usr/lib").glob("dovecot/modules/lib90_sieve_plugin.so"))
    return sieve and shutil.which("dovecot", path=_EVERYWHERE) is not None and os.geteuid() == 0


def _dovecot_imap() -> bool:
    return _dovecot() and Path("/usr/lib/dovecot/imap").exists()


def _cyrus() -> bool:
    # Unpacked, with the libraries it needs; it changes to its own user, too.
    program = CYRUS / "usr" / "lib" / "cyrus" / "bin" / "imapd"
    if os.geteuid() or not (CYRUS / "installed").exists() or not program.exists():
        return False
    own = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, CYRUS.glob("usr/lib/*-linux-*")))}
    needed = subprocess.run(["ldd", program], env=own, capture_output=True, text=True, check=False)
    return not needed.returncode and "not found" not in needed.stdout


def _postfix() -> bool:
    # It changes to its own users, which only root may.
    return shutil.which("postfix", path=_EVERYWHERE) is not None and os.geteuid() == 0


def _net_smpp() -> bool:
    command = ["perl", "-MNet::SMPP", "-e", "1"]
    return shutil.which("perl") is not None and not subprocess.run(command, capture_output=True, check=False).returncode


PEERS: Mapping[str, Callable[[], bool]] = {
    "cyrus": _cyrus,
    "dovecot": _dovecot,
    "dovecot-imap": _dovecot_imap,
    "net-smpp": _net_smpp,
    "kannel": lambda: all(shutil.which(name, path=_EVERYWHERE) for name in ("bearerbox", "smsbox")),
    "pigeonhole": _command("sieve-test"),
    "node-smpp": lambda: shutil.which("node") is not None and NODE_SMPP.is_dir(),
    "postfix": _postfix,
    "postgresql": _postgresql,
    "verifiers": lambda: all(shutil.which(name, path=_EVERYWHERE) for name in ("opendkim", "opendmarc")),
    "tshark": _command("tshark", "tcpdump"),
}


def absent(peer: str) -> NoReturn:
    """This test's peer is not here: a skip by name, and a failure where it was promised (CI)."""
    reason = f"{peer} is absent: make peers installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def require(peer: str) -> None:
    """Go on only where the peer is here."""
    if not PEERS[peer]():
        absent(peer)
