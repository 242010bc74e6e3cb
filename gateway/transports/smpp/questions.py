"""query_sm: asking what became of accepted segments whose receipt never came (SMPP 3.4 section 4.8).

One question at a time on each connection, and never in the last place of its window: what is to be sent goes first.
A centre that does not know the command is not asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from gateway.transports.smpp.receipt import read_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.routing import Route
    from gateway.transports.base import Hub, Question, Receipt
    from gateway.transports.smpp.events import Answered
    from gateway.transports.smpp.link import Link
    from gateway.transports.smpp.submission import Submission

log = logging.getLogger(__name__)

_OK = 0x00
_UNKNOWN_COMMAND = 0x03  # ESME_RINVCMDID


class Questions:
    """The questions of one route."""

    def __init__(self, route: Route, hub: Hub, submission: Submission) -> None:
        self._route = route
        self._hub = hub
        self._submission = submission
        self._useless = False
        self._recording: set[asyncio.Task[None]] = set()

    def room(self, links: Sequence[Link]) -> int:
        """How many questions may be asked this moment."""
        return 0 if self._useless else sum(link.may_ask for link in links)

    def ask(self, links: Sequence[Link], questions: Sequence[Question]) -> None:
        """Ask as many of these as there is room for."""
        waiting = deque(questions)
        for link in links:
            if waiting and link.may_ask:
                question = waiting.popleft()
                link.ask(question, self._submission.query(question.peer_id))

    def reported(self, question: Question, answer: Answered | None) -> None:
        """An answer: a final state is a receipt. None: there was none."""
        if answer is not None and answer.status == _UNKNOWN_COMMAND:
            self._useless = True
            log.warning(
                "route %s: the SMS centre does not know query_sm; nothing more is asked",
                self._route.name,
                extra={"action": "smpp_query_unknown"},
            )
        report = answer.report if answer is not None and answer.status == _OK else None
        receipt = read_report(self._route, question, report) if report is not None else None
        if receipt is not None:
            task = asyncio.get_running_loop().create_task(self._record(receipt))
            self._recording.add(task)
            task.add_done_callback(self._recording.discard)

    async def _record(self, receipt: Receipt) -> None:
        try:
            await self._hub.receipt(receipt)
        except Exception as error:  # whatever it is: it is asked again later
            log.info("an answer could not be recorded: %s", error, extra={"action": "smpp_query_unrecorded"})
