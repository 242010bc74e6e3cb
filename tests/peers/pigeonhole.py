"""Pigeonhole's `sieve-test`: what Dovecot's Sieve makes of a script and a mail, without a server."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

CONFIG = """\
log_path = /dev/stderr
first_valid_uid = 1
first_valid_gid = 0
mail_uid = {user}
mail_gid = {group}
mail_home = {directory}
mail_location = maildir:{directory}/mail
plugin {{
  sieve_extensions = +spamtest +spamtestplus +editheader
  sieve_spamtest_status_type = score
  sieve_spamtest_status_header = X-Score: (-?[[:digit:]]+\\.[[:digit:]])
  sieve_spamtest_max_value = 10
  sieve_max_actions = 0
}}
"""

_REFUSAL = re.compile(r"^\S*?: line (\d+): error: (.*)$", re.MULTILINE)
_LOGGED = re.compile(r"^info: DEBUG: (.*)\.$", re.MULTILINE)
_FILED = re.compile(r"^ \* store message in folder: (.*)$", re.MULTILINE)
_NOTIFIED = re.compile(r"^ \* send notification with method '(.*?):':\n((?:    .*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What came of it: the lines refused, or the lines that debug_log wrote and the actions."""

    output: str
    refused: tuple[int, ...] = ()
    logged: tuple[str, ...] = ()
    filed: tuple[str, ...] = ()
    others: frozenset[str] = frozenset()
    notified: tuple[tuple[str, str, tuple[str, ...]], ...] = field(default=())


class Pigeonhole:
    """Runs scripts in a directory of its own, which the user it changes to can read."""

    def __init__(self) -> None:
        self._directory = directory = Path(tempfile.mkdtemp(prefix="pigeonhole-"))
        directory.chmod(0o755)
        owner = pwd.getpwnam("mail") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._config = directory / "dovecot.conf"
        self._config.write_text(CONFIG.format(user=owner.pw_uid, group=owner.pw_gid, directory=directory))

    def close(self) -> None:
        """Take the directory away."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(
        self,
        script: str,
        mail: bytes,
        *,
        sender: str = "sender@example.org",
        recipient: str = "me@example.org",
        zone: str = "UTC",
    ) -> Ran:
        """Run a script on a mail; `zone` is the server's."""
        (self._directory / "script.sieve").write_text(script, newline="")
        (self._directory / "mail.eml").write_bytes(mail)
        command = ["sieve-test", "-C", "-c", self._config.name, "-f", sender, "-a", recipient]
        done = subprocess.run(
            [*command, "script.sieve", "mail.eml"],
            cwd=self._directory,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "TZ": zone, "HOME": str(self._directory)},
            capture_output=True,
            timeout=30,
            check=False,
        )
        said, log = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        if done.returncode:
            lines = tuple(int(found[1]) for found in _REFUSAL.finditer(log))
            assert lines, said + log
            return Ran(said + log, refused=lines)
        performed, _, implicit = said.partition("Implicit keep:")
        return Ran(
            said + log,
            logged=tuple(found[1] for found in _LOGGED.finditer(log)),
            filed=tuple(found[1] for found in _FILED.finditer(performed)),
            others=frozenset(
                [*re.findall(r"^ \* (discard|redirect message to: .*|reject message.*)$", performed, re.MULTILINE)]
                + (["implicit keep"] if "store message" in implicit else [])
            ),
            notified=tuple(_notified(found) for found in _NOTIFIED.finditer(performed)),
        )


def _notified(found: re.Match[str]) -> tuple[str, str, tuple[str, ...]]:
    """The method, the subject, and the recipients."""
    subject = re.search(r"=> subject\s*: (.*)", found[2])
    return found[1], subject[1] if subject else "", tuple(re.findall(r"\+ (?:To|Cc|Bcc): (.*)", found[2]))
