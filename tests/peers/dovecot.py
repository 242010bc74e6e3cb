"""A real Dovecot with Pigeonhole: takes mail by LMTP, runs each user's Sieve script, keeps Maildirs."""

from __future__ import annotations

import email
import email.policy
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

CONFIG = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
mail_location = maildir:{directory}/mail/%n
submission_host = 127.0.0.1:{submission}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=yes
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={directory}/home/%n allow_all_users=yes
}}
protocol lmtp {{
  mail_plugins = sieve
  postmaster_address = postmaster@example.org
}}
plugin {{
  sieve = file:{directory}/sieve/%n.sieve
}}
"""


class Dovecot:
    """Delivers to anybody, by LMTP at `port`; what scripts send leaves through the mail server at `submission`."""

    def __init__(self, submission: int, port: int) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.directory.chmod(0o755)
        self.port = port
        owner = pwd.getpwnam("mail")
        for name in ("mail", "home", "sieve"):
            (self.directory / name).mkdir()
            os.chown(self.directory / name, owner.pw_uid, owner.pw_gid)
        self._config = self.directory / "dovecot.conf"
        self._config.write_text(
            CONFIG.format(
                directory=self.directory, port=self.port, submission=submission, user=owner.pw_uid, group=owner.pw_gid
            )
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._read_from = 0

    def start(self) -> None:
        """Start it; returns when it listens."""
        self._process = subprocess.Popen(["dovecot", "-F", "-c", str(self._config)])
        deadline = time.monotonic() + 20
        while "starting up" not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dovecot does not start: {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it and remove its directory."""
        try:
            subprocess.run(["doveadm", "-c", str(self._config), "stop"], check=False, capture_output=True, timeout=30)
            if self._process is not None:
                self._process.wait(30)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def script(self, user: str, text: str) -> None:
        """The user's Sieve script from now on."""
        (self.directory / "sieve" / f"{user}.sieve").write_text(text)

    def empty(self) -> None:
        """Forget every mail, every script, and what was logged."""
        for name in ("mail", "home", "sieve"):
            for path in (self.directory / name).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._read_from += len(self.log)

    def mails(self, user: str) -> list[EmailMessage]:
        """What is in the user's mailbox, in the order it came."""
        found = sorted((self.directory / "mail" / user / "new").glob("*"))
        return [self._read(path) for path in found]

    def _read(self, path: Path) -> EmailMessage:
        read = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(read, EmailMessage)
        return read

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.directory / "log"
        return path.read_text(errors="replace")[self._read_from :] if path.exists() else ""
