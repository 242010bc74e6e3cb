"""A real Cyrus, whose mailboxes are read over IMAP and filled by LMTP; unpacked below .peers/ by `make peers`.

Debian lets one IMAP server be installed at a time, and that is Dovecot: this one runs from where it was unpacked.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from tests.peers.daemon_process import free_port
from tests.peers.dovecot_imap import PASSWORD
from tests.peers.presence import CYRUS

_PROGRAMS = ("master", "imapd", "lmtpd", "idled", "ctl_cyrusdb")

_IMAPD = """\
configdirectory: {directory}/conf
defaultpartition: default
partition-default: {directory}/spool
cyrus_user: mail
cyrus_group: mail
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {directory}/sasldb2
sasl_mech_list: PLAIN LOGIN
allowplaintext: yes
unixhierarchysep: yes
autocreate_quota: 0
autocreate_post: yes
autocreate_inbox_folders: Work
tls_server_cert: {directory}/cert.pem
tls_server_key: {directory}/key.pem
"""

_CYRUS = """\
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {directory}/imapd.conf -r"
  idled cmd="{bin}/idled -C {directory}/imapd.conf"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {directory}/imapd.conf" listen="127.0.0.1:{imap}" prefork=0
  imaps cmd="{bin}/imapd -s -C {directory}/imapd.conf" listen="127.0.0.1:{imaps}" prefork=0
  lmtp cmd="{bin}/lmtpd -a -C {directory}/imapd.conf" listen="127.0.0.1:{lmtp}" prefork=0
}}
EVENTS {{
}}
"""


@dataclass
class CyrusImap:
    """Lets in the users it was told of, with `PASSWORD`."""

    certificate: Path
    key: Path
    users: tuple[str, ...] = ("jean",)

    def __post_init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="cyrus-"))
        self.directory.chmod(0o755)
        self.imap, self.imaps, self.lmtp = free_port(), free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        folder, libraries = self.directory, self.directory / "lib"
        for name in ("bin", "lib", "spool", *(f"conf/{one}" for one in ("socket", "db", "proc", "log", "msg"))):
            (folder / name).mkdir(parents=True)
        for name in _PROGRAMS:  # its user need not be able to read the checkout
            shutil.copy2(CYRUS / "usr/lib/cyrus/bin" / name, folder / "bin")
        for library in CYRUS.glob("usr/lib/*/libcyrus*.so.*"):
            shutil.copy2(library, libraries)
        shutil.copy(self.certificate, folder / "cert.pem")
        shutil.copy(self.key, folder / "key.pem")
        words = {"directory": folder, "bin": folder / "bin", "imap": self.imap, "imaps": self.imaps, "lmtp": self.lmtp}
        (folder / "imapd.conf").write_text(_IMAPD.format(**words))
        (folder / "cyrus.conf").write_text(_CYRUS.format(**words))
        self._environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
        for user in self.users:
            command = [CYRUS / "usr/sbin/saslpasswd2", "-p", "-c", "-f", folder / "sasldb2", "-u"]
            subprocess.run(
                [*command, socket.gethostname(), user], input=PASSWORD.encode(), check=True, capture_output=True
            )
        owner = pwd.getpwnam("mail")
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def start(self) -> None:
        """Start it; returns when it listens."""
        command = [self.directory / "bin" / "master", "-D", "-C", self.directory / "imapd.conf"]
        command += ["-M", self.directory / "cyrus.conf", "-p", self.directory / "pid"]
        with (self.directory / "said").open("ab") as said:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.lmtp), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"cyrus does not start: {(self.directory / 'said').read_text()}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop it and the processes it started, which end with it; its mailboxes stay."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
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
                client.sendmail("sender@example.org", [user], octets)
