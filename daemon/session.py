"""One SMTP or LMTP connection: the commands of aiosmtpd's server as this gateway means them.

aiosmtpd reads the command lines, keeps the clock and the budgets. What is answered to EHLO, MAIL, RCPT, DATA and
STARTTLS is ours: DSN parameters, a reply for every recipient under LMTP (RFC 2033 section 4.2), enhanced status codes
on every reply (RFC 2034), pipelining (RFC 2920), and data that is read in large pieces.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.smtp import SMTP

from daemon import data, esmtp, login
from daemon.envelope import Proofs
from daemon.peers import Peer
from daemon.reception import TRY_AGAIN, Reception
from gateway.failure import RefusedError
from gateway.forwarding import Arrival

if TYPE_CHECKING:
    from daemon.listener import Listener

log = logging.getLogger(__name__)

#: Wrong commands, refused recipients of a peer nothing speaks for, and failed logins, after which we hang up.
_FAULTS, _REFUSALS, _LOGINS = 20, 50, 4
#: Seconds a peer has to take our last words and let go, and a TLS handshake may take.
_GOODBYE, _HANDSHAKE = 5.0, 30.0
#: Times a command may come in one connection; what is not here, 50.
_CALLS = {"MAIL": 100_000, "RCPT": 10_000_000, "DATA": 100_000, "RSET": 100_000, "NOOP": 1000, "*": 50}
#: Longest command lines, in octets (RFC 5321 4.5.3.1.4; RFC 3461 4 adds 125 to MAIL and 500 to RCPT; RFC 6531 10;
#: RFC 4954 4).
_COMMAND, _LINES = 512, {"MAIL": 1024, "RCPT": 2048, "AUTH": 12288}
#: What the reader keeps at once, in octets.
_READ = 64 * 1024

_FAULT_CODES = frozenset({"500", "501", "502", "503", "504", "553", "555"})
_DEFAULT_STATUS = {"500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "504": "5.5.4", "554": "5.5.0"}


class Session(SMTP):
    """An SMTP connection."""

    line_length_limit = _READ
    protocol = "SMTP"
    greeting = "EHLO"
    #: Whether every recipient gets its own reply after DATA.
    each = False

    def __init__(self, listener: Listener) -> None:
        settings = listener.settings
        super().__init__(
            None,
            data_size_limit=settings.max_size,
            enable_SMTPUTF8=True,
            hostname=settings.hostname,
            ident="Tocsin",
            tls_context=settings.tls,
            timeout=settings.idle,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=_CALLS,
            loop=asyncio.get_running_loop(),
        )
        # aiosmtpd keeps these in one dictionary for all connections, and lets every EHLO raise them.
        self.command_size_limits = defaultdict(lambda: _COMMAND, _LINES)
        self.peer = Peer()
        self.proofs = Proofs()
        self.busy = False
        self._listener = listener
        self._settings = settings
        self._house = listener.house(settings)
        self._reception: Reception | None = None
        self._encrypted = False
        self._lost = False
        self._parting: asyncio.TimerHandle | None = None
        self._faults = 0
        self._refusals = 0
        self._failed_logins = 0

    # The connection ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer = Peer.of(transport)
        settings = self._settings
        self.proofs = Proofs(trusted=self.peer in settings.trusted_networks, relay=self.peer in settings.relays)
        refusal = self._listener.admit(self)
        super().connection_made(transport)
        if refusal:
            self.goodbye(refusal)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            if self._parting is not None:
                self._parting.cancel()
            self._listener.forget(self)
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The peer has said all: over a plain connection what it said is still answered."""
        if self._encrypted:
            return super().eof_received()
        self._reader.feed_eof()
        return True

    def goodbye(self, words: str = "") -> None:
        """Say last words and close, without waiting for a peer that does not read."""
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is None:
            return
        if words and not transport.is_closing():
            transport.write(words.encode("ascii") + b"\r\n")
        transport.close()
        if self._parting is None:
            self._parting = self.loop.call_later(_GOODBYE, transport.abort)
        cast("asyncio.Task[None]", self._handler_coroutine).cancel()

    def abort(self) -> None:
        """Close at once, whatever is still to be said."""
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is not None:
            transport.abort()

    def _timeout_cb(self) -> None:
        self.goodbye("421 4.4.2 Nothing was heard for too long, goodbye")

    async def push(self, status: str | bytes) -> None:
        """Send a reply. What aiosmtpd says itself gets its enhanced status code, and what a peer sent no raw echo."""
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else status
        code = text[:3]
        if code in _DEFAULT_STATUS and text[4:6] != "5.":
            text = esmtp.reply(f"{code} {_DEFAULT_STATUS[code]}", text[4:].removeprefix("Error: "))
        self._writer.write(text.encode("ascii", "replace") + b"\r\n")
        await self._writer.drain()
        if code in _FAULT_CODES:
            self._faults += 1
            if self._faults >= _FAULTS:
                self.goodbye("421 4.7.0 Too many commands that make no sense, goodbye")

    async def handle_exception(self, error: Exception) -> str:
        """A defect of ours is logged with all that is known, and answered with nothing of it."""
        if isinstance(error, asyncio.IncompleteReadError):
            self.goodbye()
            return "421 4.4.2 Goodbye"
        facts = {"action": "session_failed", "peer": str(self.peer)}
        log.error("an %s session failed", self.protocol, exc_info=error, extra=facts)
        return TRY_AGAIN

    # Greetings --------------------------------------------------------------------------------------------------------

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802
        if not hostname:
            await self.push(f"501 5.5.4 Write {self.greeting} and your name")
            return
        self._greeted(hostname, extended=True)
        offers = [self.hostname, "PIPELINING", f"SIZE {self._settings.max_size}"]
        if self._settings.tls is not None and not self._encrypted:
            offers.append("STARTTLS")
        if self._may_log_in():
            offers.append(f"AUTH {' '.join(login.MECHANISMS)}")
        offers += ["ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "DSN"]
        await self.push("\r\n".join([*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}"]))

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802
        if not hostname:
            await self.push("501 5.5.4 Write HELO and your name")
            return
        self._greeted(hostname, extended=False)
        await self.push(f"250 {self.hostname}")

    def _greeted(self, hostname: str, *, extended: bool) -> None:
        self._reception = None
        session = self.session
        assert session is not None
        session.host_name = hostname
        session.extended_smtp = extended

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        context = self._settings.tls
        if arg:
            await self.push("501 5.5.4 STARTTLS takes no parameter")
        elif context is None:
            await self.push("454 4.7.0 TLS is not available")
        elif self._encrypted:
            await self.push("503 5.5.1 TLS is on already")
        else:
            await self.push("220 2.0.0 Ready to start TLS")
            await self._start_tls(context)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        plain = cast("asyncio.Transport", self.transport)
        # What came before the handshake was not protected: it must not be taken for commands (RFC 3207 section 5).
        reader = cast("Any", self._reader)
        reader._buffer.clear()
        try:
            secure = await self.loop.start_tls(plain, self, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE)
        except BaseException as error:
            plain.abort()
            self.loop.call_soon(self.connection_lost, None)  # nobody else says so before the handshake is done
            if not isinstance(error, OSError):  # ssl.SSLError is one
                raise
            facts = {"action": "tls_handshake_failed", "peer": str(self.peer), "detail": str(error)}
            log.info("a TLS handshake failed", extra=facts)
            return
        assert secure is not None
        self.transport = secure
        self._encrypted = True
        writer, protocol = cast("Any", self._writer), cast("Any", self)
        reader._transport = writer._transport = protocol._transport = secure
        protocol._over_ssl = True
        self.session = self._create_session()
        self.session.peer, self.session.ssl = str(self.peer), secure.get_extra_info("ssl_object")
        self._reception = None

    # Logging in -------------------------------------------------------------------------------------------------------

    def _may_log_in(self) -> bool:
        return self._listener.login is not None and self._encrypted and self.proofs.account is None

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        if await self.check_helo_needed(self.greeting):
            return
        verify = self._listener.login
        if self._settings.tls is None or verify is None:
            await self.push("502 5.5.1 AUTH is not offered here")
        elif not self._encrypted:
            await self.push("538 5.7.11 Send STARTTLS first: passwords are taken over TLS only")
        elif self.proofs.account is not None or self._reception is not None:
            await self.push("503 5.5.1 AUTH comes once, and before MAIL")
        elif not arg:
            await self.push(f"501 5.5.4 Write AUTH and one of {', '.join(login.MECHANISMS)}")
        else:
            mechanism, _, initial = arg.partition(" ")
            await self._log_in(verify, mechanism.upper(), initial.strip() or None)

    async def _log_in(self, verify: login.Login, mechanism: str, initial: str | None) -> None:
        try:
            user, password = await login.exchange(mechanism, initial, self._ask)
            account = await verify.verify(user, password, str(self.peer))
        except RefusedError as refused:
            await self.push(esmtp.reply(refused.smtp, str(refused)))
            self._failed_logins += 1
            if self._failed_logins >= _LOGINS:
                self.goodbye("421 4.7.0 Too many logins failed, goodbye")
            return
        except (asyncio.IncompleteReadError, ConnectionError):
            raise
        except Exception as error:
            facts = {"action": "login_impossible", "peer": str(self.peer)}
            log.error("a login could not be verified", exc_info=error, extra=facts)
            await self.push("454 4.7.0 Nobody can log in at the moment, please try again later")
            return
        self.proofs = replace(self.proofs, account=account)
        await self.push("235 2.7.0 Welcome")

    async def _ask(self, challenge: str) -> str:
        self._writer.write(f"334 {challenge}\r\n".encode("ascii"))
        await self._writer.drain()
        try:
            line = await self._reader.readuntil()
        except asyncio.LimitOverrunError:
            self.goodbye("421 4.7.0 That line is too long, goodbye")
            raise RefusedError("That line is too long", smtp="500 5.5.6") from None
        self._reset_timeout()
        return line.decode("ascii", "replace").strip()

    # What else there is -----------------------------------------------------------------------------------------------

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802
        await self.push("252 2.5.2 Send the mail, and you will be told")

    async def smtp_EXPN(self, arg: str | None) -> None:  # noqa: N802
        await self.push("502 5.5.1 EXPN is not offered here")

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: N802
        await self.push(f"214 2.0.0 A mail to number@{self._settings.sms_domain} becomes an SMS")

    async def smtp_NOOP(self, arg: str | None) -> None:  # noqa: N802
        await self.push("250 2.0.0 Still here")

    async def smtp_RSET(self, arg: str | None) -> None:  # noqa: N802
        self._reception = None
        await self.push("250 2.0.0 Begun anew")

    async def smtp_QUIT(self, arg: str | None) -> None:  # noqa: N802
        self.goodbye("221 2.0.0 Goodbye")

    # A mail -----------------------------------------------------------------------------------------------------------

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if await self.check_helo_needed(self.greeting):
            return
        if self._reception is not None:
            await self.push("503 5.5.1 There was a MAIL already: send RSET first")
            return
        try:
            path, parameters = esmtp.split(arg, "FROM")
            parsed = esmtp.mail_parameters(parameters, max_size=self._settings.max_size)
        except esmtp.ParameterError as error:
            await self.push(error.reply)
            return
        self._reception = Reception(
            self._house, self.peer, self.proofs, path, parsed, arrival=self._arrival(), each=self.each
        )
        await self.push("250 2.1.0 Sender noted")

    def _arrival(self) -> Arrival:
        """How a mail comes here; the protocol's name is that of RFC 3848."""
        session = self.session
        assert session is not None
        name = f"E{self.protocol}" if self.protocol == "SMTP" and session.extended_smtp else self.protocol
        name += "S" * self._encrypted + "A" * (self.proofs.account is not None)
        return Arrival(str(session.host_name), str(self.peer), self.hostname, name)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        reception = self._reception
        if reception is None:
            await self.push("503 5.5.1 Send MAIL first")
            return
        try:
            path, parameters = esmtp.split(arg, "TO")
            parsed = esmtp.rcpt_parameters(parameters)
        except esmtp.ParameterError as error:
            await self.push(error.reply)
            return
        if len(reception) >= self._settings.max_recipients:
            limit = self._settings.max_recipients
            await self.push(f"452 4.5.3 Too many recipients: at most {limit} a mail are taken here")
            return
        try:
            advice = await reception.add(path, parsed)
        except RefusedError as refused:
            await self._refuse(refused)
            return
        await self.push(esmtp.reply("250 2.1.5", f"Recipient noted. {advice}" if advice else "Recipient noted"))

    async def _refuse(self, refused: RefusedError) -> None:
        facts = {"action": "recipient_refused", "peer": str(self.peer), "reply": refused.smtp}
        log.info("a recipient was refused", extra=facts)
        await self.push(esmtp.reply(refused.smtp, str(refused)))
        self._refusals += not self.proofs
        if self._refusals >= _REFUSALS:
            self.goodbye("421 4.7.0 Too many recipients were refused, goodbye")

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        reception = self._reception
        if arg:
            await self.push("501 5.5.4 DATA takes no parameter")
            return
        if not reception:
            await self.push("503 5.5.1 Send MAIL and RCPT first: no recipient was taken")
            return
        self.busy = True
        try:
            self._reset_timeout(self._settings.data_time)
            await self.push("354 Send the mail, then a line with nothing but a dot")
            octets = await data.read(self._reader, self._settings.max_size)
            self._reception = None
            self._reset_timeout(self._settings.data_time)
            if octets is None:
                limit = self._settings.max_size
                replies = [f"552 5.3.4 This mail is too large: at most {limit} octets are taken here"] * len(reception)
            else:
                replies = await reception.receive(octets)
            await self.push(self._after_data(replies))
            self._reset_timeout()
        finally:
            self.busy = False
        if self._listener.draining:
            self.goodbye("421 4.3.2 Going down, goodbye")

    def _after_data(self, replies: list[str]) -> str:
        """SMTP has one reply for all, and what was taken for one recipient must not come again."""
        return next((reply for reply in replies if reply.startswith("2")), replies[0])


class LmtpSession(Session):
    """An LMTP connection (RFC 2033): LHLO for EHLO, and after DATA a reply for every recipient."""

    protocol = "LMTP"
    greeting = "LHLO"
    each = True

    async def smtp_LHLO(self, hostname: str | None) -> None:  # noqa: N802
        await Session.smtp_EHLO(self, hostname)

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802
        await self.push("500 5.5.1 This is LMTP: write LHLO")

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802
        await self.push("500 5.5.1 This is LMTP: write LHLO")

    def _after_data(self, replies: list[str]) -> str:
        return "\r\n".join(replies)
