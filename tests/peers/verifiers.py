"""OpenDKIM and OpenDMARC as milters of a Postfix, with keys and policies of their own in place of DNS."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import dkim
import publicsuffixlist
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.peers.postfix import free_port

AUTHSERV_ID = "mx.example.org"
SELECTOR = "k"

OPENDKIM = """\
Mode v
Background no
Syslog no
UserID root
Socket inet:{port}@127.0.0.1
PidFile {folder}/opendkim.pid
AuthservID {authserv_id}
InternalHosts {folder}/nobody
ExternalIgnoreList {folder}/nobody
TestDNSData file:{folder}/keys
AlwaysAddARHeader yes
RemoveARAll yes
RemoveARFrom {authserv_id}
"""

OPENDMARC = """\
Background no
Syslog no
UserID root
Socket inet:{port}@127.0.0.1
PidFile {folder}/opendmarc.pid
AuthservID {authserv_id}
TrustedAuthservIDs {authserv_id}
IgnoreHosts {folder}/nobody
TestDNSData {folder}/policies
PublicSuffixList {suffixes}
SPFIgnoreResults yes
RejectFailures no
FailureReports no
"""


class Verifiers:
    """The two filters, each at a port of its own; `policies` are DMARC policies by domain, for as many keys."""

    def __init__(self, policies: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="verifiers-"))
        self.opendkim, self.opendmarc = free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()
        keys = "".join(f"{SELECTOR}._domainkey.{domain} v=DKIM1; k=rsa; p={public}\n" for domain in policies)
        (self.folder / "keys").write_text(keys)
        (self.folder / "policies").write_text(
            "".join(f"_dmarc.{one} {said}\n" for one, said in policies.items() if said)
        )
        (self.folder / "nobody").write_text("192.0.2.1\n")

    @property
    def milters(self) -> str:
        """What Postfix is to be told: first who signed it, then what that means for From."""
        return f"inet:127.0.0.1:{self.opendkim}, inet:127.0.0.1:{self.opendmarc}"

    @property
    def only_opendkim(self) -> str:
        """A mail server that knows nothing of DMARC."""
        return f"inet:127.0.0.1:{self.opendkim}"

    def sign(self, mail: bytes, domain: str, *, headers: list[bytes] | None = None) -> bytes:
        """The mail with a signature of this domain on top."""
        signature: bytes = dkim.sign(
            mail, SELECTOR.encode(), domain.encode(), self._key, include_headers=headers, canonicalize=(b"relaxed",) * 2
        )
        return signature + mail

    def start(self) -> None:
        """Start both; AssertionError with what they said where they do not."""
        suffixes = Path(publicsuffixlist.__file__).parent / "public_suffix_list.dat"
        for name, text, port, flag in (
            ("opendkim", OPENDKIM, self.opendkim, "-x"),
            ("opendmarc", OPENDMARC, self.opendmarc, "-c"),
        ):
            path = self.folder / f"{name}.conf"
            path.write_text(text.format(folder=self.folder, port=port, authserv_id=AUTHSERV_ID, suffixes=suffixes))
            command = [shutil.which(name, path="/usr/sbin:/usr/bin") or name, "-f", flag, str(path)]
            with (self.folder / f"{name}.log").open("wb") as log:
                self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
            self._await(name, port)

    def _await(self, name: str, port: int) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                said = (self.folder / f"{name}.log").read_text()
                assert time.monotonic() < deadline, f"{name} does not answer: {said}"
                assert self._processes[-1].poll() is None, f"{name} has ended: {said}"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop both and remove their folder."""
        for one in self._processes:
            one.terminate()
        for one in self._processes:
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
