"""What went through, said once a minute: a line a segment would cost as much as sending it.

The story of each segment is in its rows (`tocsin message show`); the log tells it segment by segment at `debug`.
"""

from __future__ import annotations

import asyncio
import logging

log = logging.getLogger(__name__)

#: How often it is said, in seconds.
EVERY = 60.0


class Traffic:
    """How many segments were accepted and receipts recorded since that was last said."""

    def __init__(self) -> None:
        self.accepted = 0
        self.receipts = 0

    def say(self) -> None:
        """One line where there was any; counting begins anew."""
        if self.accepted or self.receipts:
            extra = {"action": "traffic", "accepted": self.accepted, "receipts": self.receipts}
            log.info("%d segments accepted, %d receipts recorded", self.accepted, self.receipts, extra=extra)
        self.accepted = self.receipts = 0

    async def run(self) -> None:
        """Say it every minute until cancelled, and then what is left."""
        try:
            while True:
                await asyncio.sleep(EVERY)
                self.say()
        finally:
            self.say()
