"""A real Dovecot whose mailboxes are read over IMAP, with TLS, and filled by LMTP."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from tests.peers.daemon_process import free_port

PASSWORD = "correct-horse"

_CONFIG = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
protocols = imap lmtp
listen = 127.0.0.1
first_valid_uid = 1
disable_plaintext_auth = no
mail_location = maildir:{directory}/mail/%n
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
auth_mechanisms = plain login
auth_failure_delay = 0
auth_cache_size = 1M
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
  service_count = 0
  client_limit = 5000
  process_min_avail = 1
}}
service imap {{
  client_limit = 1
  process_limit = 5000
}}
service imap-hibernate {{
  client_limit = 5000
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  client_limit = 20000
}}
service anvil {{
  client_limit = 20000
}}
default_client_limit = 20000
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={directory}/home/%n allow_all_users=yes
}}
protocol lmtp {{
  postmaster_address = postmaster@example.org
}}
protocol imap {{
  mail_max_userip_connections = {connections}
}}
{more}
"""


def certify(place: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, good for two days, and its key; both below `place`."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    words = [*command.split(), "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(words, cwd=place, check=True, capture_output=True)
    return place / "cert.pem", place / "key.pem"


@dataclass
class DovecotImap:
    """Lets anybody in who knows `PASSWORD`; `more` are settings that come last."""

    certificate: Path
    key: Path
    more: str = ""
    connections: int = 50

    def __post_init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.directory.chmod(0o755)
        self.imap, self.imaps, self.lmtp = free_port(), free_port(), free_port()
        self._owner = pwd.getpwnam("mail")
        for name in ("mail", "home"):
            (self.directory / name).mkdir()
            os.chown(self.directory / name, self._owner.pw_uid, self._owner.pw_gid)
        self._config = self.directory / "dovecot.conf"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it listens."""
        self._config.write_text(
            _CONFIG.format(
                directory=self.directory,
                certificate=self.certificate,
                key=self.key,
                imap=self.imap,
                imaps=self.imaps,
                lmtp=self.lmtp,
                password=PASSWORD,
                user=self._owner.pw_uid,
                group=self._owner.pw_gid,
                connections=self.connections,
                more=self.more,
            )
        )
        before = len(self.log)
        self._process = subprocess.Popen(["dovecot", "-F", "-c", str(self._config)])
        deadline = time.monotonic() + 20
        while "starting up" not in self.log[before:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dovecot does not start: {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it; its mailboxes stay."""
        subprocess.run(["doveadm", "-c", str(self._config), "stop"], check=False, capture_output=True, timeout=30)
        if self._process is not None:
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop it and remove its directory."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def deliver(self, user: str, *mails: EmailMessage | bytes) -> None:
        """Bring mails by LMTP, all in one connection; returns after the last 250."""
        with smtplib.LMTP("127.0.0.1", self.lmtp) as client:
            for mail in mails:
                octets = mail if isinstance(mail, bytes) else mail.as_bytes()
                client.sendmail("sender@example.org", [f"{user}@example.org"], octets)

    def create(self, user: str, folder: str) -> None:
        """Make a folder."""
        command = ["doveadm", "-c", str(self._config), "mailbox", "create", "-u", user, folder]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def file(self, user: str, folder: str, mail: EmailMessage) -> None:
        """Put a mail into a folder."""
        command = ["doveadm", "-c", str(self._config), "save", "-u", user, "-m", folder]
        subprocess.run(command, input=mail.as_bytes(), check=True, capture_output=True, timeout=30)

    def who(self) -> str:
        """Who is connected over IMAP."""
        command = ["doveadm", "-f", "tab", "-c", str(self._config), "who", "-1"]
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout.splitlines()
        return "\n".join(line for line in told[1:] if "imap" in line)

    def recreate(self, user: str) -> None:
        """Make the user's mailbox anew: another UIDVALIDITY, nothing in it."""
        shutil.rmtree(self.directory / "mail" / user, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""
