"""The ASGI application behind the console's address.

`POST /api/v1/messages` is answered right here; everything else goes through Starlette's routes. Whatever goes wrong
below becomes a problem document; what is a defect is logged under the request's id, and tells the outside nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from daemon.console import openapi
from daemon.console.api import Api
from daemon.console.operations import MESSAGES, OPERATIONS
from daemon.console.problems import ProblemError
from daemon.console.swift import Answer
from daemon.console.taking import GoneError, Taker
from gateway.draft import Draft

log = logging.getLogger(__name__)

#: The header fields of the answer to a message that was taken: its id, how long the document is, the request's id.
_TAKEN = b"location: %b/%%d\r\ncontent-type: application/json\r\ncontent-length: %%d\r\nx-request-id: %%b\r\n"
_TAKEN %= MESSAGES.encode()
#: The template of every path that has none: strangers may ask for any.
OTHER = "other"
#: Sentences for what Starlette refuses by itself.
_REFUSED = {404: "there is nothing at this address", 405: "this address does not know this method"}


class Meter(Protocol):
    """Is told of every request that was answered: the template of its path, its status, and how long it took."""

    def request(self, template: str, status: int, seconds: float) -> None: ...


class Application:
    """Everything at the console's address. `pages` are further routes beside the API's."""

    def __init__(self, api: Api, taker: Taker, meter: Meter, pages: Sequence[BaseRoute] = ()) -> None:
        self._taker = taker
        self._meter = meter
        run = secrets.token_hex(4)  # of this run of the daemon
        self._requests = (f"{run}-{n}" for n in itertools.count(1))
        routes = [*_api_routes(api), Route("/api/v1/openapi.json", _openapi(), methods=["GET"]), *pages]
        handlers: Mapping[Any, Callable[..., Any]] = {
            ProblemError: _problem,
            HTTPException: _refused,
            Exception: _defect,
        }
        self._starlette = Starlette(routes=routes, exception_handlers=handlers)
        self._starlette.router.redirect_slashes = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        state = scope["state"]
        request = state["request"] = next(self._requests)
        if scope["path"] == MESSAGES and scope["method"] == "POST":
            status, template = await self._submit(scope, receive, send, request), MESSAGES
        else:
            status, template = await self._route(scope, receive, send, request)
        if status:
            self._meter.request(template, status, time.perf_counter() - began)
        if status >= 400:
            _log_refusal(template, status, request)

    def _said(self, request: str, message: int, document: bytes) -> tuple[int, bytes, bytes]:
        """The answer to a message that was taken: status, header fields as lines, body."""
        if log.isEnabledFor(logging.DEBUG):
            facts = {"request": request, "message_id": str(message)}
            log.debug("a message was taken", extra={"action": "message_taken", **facts})
        return 202, _TAKEN % (message, len(document), request.encode()), document

    def _refused(self, request: str, error: Exception) -> tuple[int, bytes, bytes]:
        """The answer to one that was not."""
        problem = error if isinstance(error, ProblemError) else _ours()
        if problem is not error:
            _log_defect(request, error)
        body = problem.body(request)
        fields = [*problem.headers(body), (b"x-request-id", request.encode())]
        return problem.status, b"".join([b"%b: %b\r\n" % field for field in fields]), body

    def begin(self, bearer: bytes, body: bytes, answer: Answer) -> bool:
        """Take a message the short way, where it needs nothing but to be stored; False, and nothing done, where not."""
        began = time.perf_counter()
        begun = self._taker.begin(bearer, body)
        if begun is None:
            return False
        done, draft = begun
        done.add_done_callback(partial(self._taken, next(self._requests), began, draft, answer))
        return True

    def _taken(self, request: str, began: float, draft: Draft, answer: Answer, done: asyncio.Future[Any]) -> None:
        try:
            status, lines, body = self._said(request, *self._taker.answer(draft, done.result()))
        except Exception as error:
            status, lines, body = self._refused(request, self._taker.refusal(error))
        answer(status, lines, body)
        self._meter.request(MESSAGES, status, time.perf_counter() - began)
        if status >= 400:
            _log_refusal(MESSAGES, status, request)

    async def _submit(self, scope: Any, receive: Any, send: Any, request: str) -> int:
        try:
            status, lines, body = self._said(request, *await self._taker.submit(scope["headers"], receive))
        except GoneError:
            return 0
        except Exception as error:
            status, lines, body = self._refused(request, error)
        fields = [tuple(line.split(b": ", 1)) for line in lines.split(b"\r\n")[:-1]]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})
        return status

    async def _route(self, scope: Any, receive: Any, send: Any, request: str) -> tuple[int, str]:
        status = 0

        async def told(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request.encode())]
            await send(message)

        try:
            await self._starlette(scope, receive, told)
        except Exception as error:
            _log_defect(request, error)
            if not status:
                raise
        return status, scope["state"].get("template", OTHER)


def _log_refusal(template: str, status: int, request: str) -> None:
    if log.isEnabledFor(logging.INFO):
        facts = {"request": request, "status": status, "path": template}
        log.info("a request was refused", extra={"action": "request_refused", **facts})


def _log_defect(request: str, error: Exception) -> None:
    told = {"action": "request_failed", "request": request}
    log.error("a request could not be answered", exc_info=error, extra=told)


# Routes ---------------------------------------------------------------------------------------------------------------


def _api_routes(api: Api) -> list[Route]:
    """One route a path: whoever asks with another method is told all that there are."""
    handlers: dict[str, Callable[[Request], Awaitable[Any]]] = {
        "listMessages": _Asked(api).messages,
        "showMessage": _Asked(api).message,
        "listDeliveries": _Asked(api).deliveries,
        "showCredit": _Asked(api).credit,
    }
    routes = []
    for path in dict.fromkeys(operation.path for operation in OPERATIONS):
        methods = {one.method: handlers.get(one.name) for one in OPERATIONS if one.path == path}
        (get,) = [handler for handler in methods.values() if handler is not None]
        known = {one.name for of in OPERATIONS if of.path == path for one in of.parameters if one.where == "query"}
        routes.append(Route(path, _answering(path, get, known), methods=list(methods)))
    return routes


def _answering(
    path: str, handler: Callable[[Request], Awaitable[Any]], known: Collection[str]
) -> Callable[[Request], Awaitable[Response]]:
    """Answers what the handler finds; `known` are the names of the parameters a query may have, each once."""

    async def endpoint(request: Request) -> Response:
        request.scope["state"]["template"] = path
        named = [name for name, _ in request.query_params.multi_items()]
        for name in named:
            if name not in known or named.count(name) > 1:
                why = "is given more than once" if name in known else "is not known here: " + _names(known)
                raise ProblemError(422, f"{name[:40]} {why}", errors=[{"path": f"query.{name[:40]}", "detail": why}])
        return JSONResponse(await handler(request))

    return endpoint


def _names(known: Collection[str]) -> str:
    return f"a query may have {', '.join(sorted(known))}" if known else "this address takes no query"


class _Asked:
    """What Starlette hands in, as the API asks for it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def _account(self, request: Request) -> Any:
        told = request.headers.get("authorization")
        return await self._api.account(None if told is None else told.encode("latin-1"))

    async def messages(self, request: Request) -> Any:
        account, query = await self._account(request), request.query_params
        return await self._api.messages(
            account, query.get("state"), query.get("since"), query.get("cursor"), _limit(query)
        )

    async def message(self, request: Request) -> Any:
        return await self._api.message(await self._account(request), request.path_params["id"])

    async def deliveries(self, request: Request) -> Any:
        account, query = await self._account(request), request.query_params
        return await self._api.deliveries(account, request.path_params["id"], query.get("cursor"), _limit(query))

    async def credit(self, request: Request) -> Any:
        return await self._api.credit(await self._account(request))


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "200")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= 200):
        why = "limit is a number from 1 to 200"
        raise ProblemError(422, why, errors=[{"path": "query.limit", "detail": why}])
    return int(text)


def _openapi() -> Callable[[Request], Awaitable[Response]]:
    body = json.dumps(openapi.document()).encode()

    async def endpoint(request: Request) -> Response:
        request.scope["state"]["template"] = "/api/v1/openapi.json"
        return Response(body, media_type="application/json")

    return endpoint


# Errors ---------------------------------------------------------------------------------------------------------------


def _answer(request: Request, problem: ProblemError) -> Response:
    body = problem.body(request.scope["state"].get("request", ""))
    return Response(
        body, problem.status, {name.decode(): value.decode("latin-1") for name, value in problem.headers(body)}
    )


async def _problem(request: Request, error: ProblemError) -> Response:
    return _answer(request, error)


async def _refused(request: Request, error: HTTPException) -> Response:
    detail = _REFUSED.get(error.status_code, str(error.detail))
    return _answer(request, ProblemError(error.status_code, detail, fields=error.headers))


def _ours() -> ProblemError:
    return ProblemError(500, "something is wrong here, not with your request: the operator's log has it")


async def _defect(request: Request, error: Exception) -> Response:
    return _answer(request, _ours())
