"""A real Postfix of its own: a temporary directory, free ports on loopback, stopped by whoever started it."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mail.example.org
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
relay_domains = sms.example.org
default_transport = discard:
local_transport = discard:
disable_dns_lookups = yes
transport_maps = inline:{{{{sms.example.org = lmtp:{next_hop}}}}}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
lmtp_connection_cache_on_demand = yes
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix that relays sms.example.org to `next_hop` (`inet:127.0.0.1:24`) by LMTP; all else it discards.

    `settings` are further lines of its main.cf.
    """

    def __init__(self, next_hop: str, *settings: str) -> None:
        # Short, because sockets lie below it, and open to Postfix's own user.
        self.directory = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.directory.chmod(0o755)
        self.port = free_port()
        self._read_from = 0
        owner = pwd.getpwnam("postfix")
        for name in ("queue", "data"):
            (self.directory / name).mkdir()
        os.chown(self.directory / "data", owner.pw_uid, owner.pw_gid)
        main = MAIN.format(directory=self.directory, next_hop=next_hop)
        (self.directory / "main.cf").write_text("\n".join([main, *settings, ""]))
        (self.directory / "master.cf").write_text(MASTER.format(port=self.port))

    def start(self) -> None:
        """Start it; CalledProcessError with what it said where it does not."""
        self._run("start")

    def stop(self) -> None:
        """Stop it and remove its directory."""
        try:
            self._run("stop")
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def turn_the_page(self) -> None:
        """From here on, `log` and `logged` look at what is new."""
        self._read_from += len(self.log)

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.directory / "log"
        return path.read_text()[self._read_from :] if path.exists() else ""

    async def logged(self, pattern: str, *, times: int = 1, within: float = 30.0) -> list[str]:
        """The lines that match, once there are so many; AssertionError with the log where that does not come."""
        deadline = time.monotonic() + within
        while len(found := re.findall(f".*{pattern}.*", self.log)) < times:
            assert time.monotonic() < deadline, f"{pattern!r} was not logged {times} times:\n{self.log}"
            await asyncio.sleep(0.05)
        return found

    def _run(self, verb: str) -> None:
        command = [shutil.which("postfix") or "/usr/sbin/postfix", "-c", str(self.directory), verb]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"postfix {verb}: {done.stdout}{done.stderr}{self.log}")


def free_port() -> int:
    """A port nobody has on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
