"""Is the process alive, and can it do its work: `/healthz` and `/readyz`, for whoever starts and watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.console.problems import ProblemError
from gateway.store.errors import StoreError
from gateway.store.store import Store

#: How long the store may take to answer, in seconds.
_PATIENCE = 2.0


class Health:
    """Answers both questions. `hinders` says what keeps this process from its work, one sentence each."""

    def __init__(self, store: Store, roles: Sequence[str], hinders: Callable[[], Sequence[str]]) -> None:
        self._store = store
        self._roles = sorted(roles)
        self._hinders = hinders

    def routes(self) -> list[Route]:
        """Where it is asked."""
        return [Route("/healthz", self.alive, methods=["GET"]), Route("/readyz", self.ready, methods=["GET"])]

    async def alive(self, request: Request) -> Response:
        """The process answers, so it lives."""
        request.scope["state"]["template"] = "/healthz"
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """The store can be read and written, and every role serves; else why not."""
        request.scope["state"]["template"] = "/readyz"
        why = list(self._hinders())
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._store.read(_look)
        except StoreError as error:
            why.append(f"the store cannot be read: {error}")
        except TimeoutError:
            why.append(f"the store does not answer within {_PATIENCE:g} seconds")
        if why:
            raise ProblemError(503, "; ".join(why), retry_after=5)
        return JSONResponse({"status": "ready", "roles": self._roles})


def _look(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
