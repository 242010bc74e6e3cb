"""Every operation of the HTTP API: the one table its routes and its OpenAPI document are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from daemon.console import models
from daemon.console.models import MOST_RECIPIENTS
from gateway.message import State

MESSAGES = "/api/v1/messages"
_ID = {"type": "string", "pattern": "^[0-9]{1,18}$"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path, a query or a header."""

    name: str
    where: str
    description: str
    schema: Mapping[str, Any]
    example: str | int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `problems` are the statuses of its errors beside those that any operation may have."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[BaseModel]
    status: int = 200
    description: str = ""
    parameters: Sequence[Parameter] = ()
    body: type[BaseModel] | None = None
    problems: Sequence[int] = ()
    examples: Mapping[str, Any] = field(default_factory=dict)


_CURSOR = Parameter(
    "cursor", "query", "Of the page before: what comes after it.", {"type": "string", "pattern": "^[0-9]{1,18}$"}
)
_LIMIT = Parameter(
    "limit", "query", "The most of one page.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 200}
)
_MESSAGE = Parameter("id", "path", "A message's id.", _ID, "1042")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        MESSAGES,
        "sendMessage",
        "Send a message",
        models.MessageTaken,
        status=202,
        description=(
            "Answered after the message is committed. It is all or nothing: where one recipient cannot be reached, or "
            f"the credit does not suffice for all, nothing is sent. At most {MOST_RECIPIENTS:,} recipients."
        ),
        parameters=(
            Parameter(
                "Idempotency-Key",
                "header",
                "The same key with the same content is sent once, however often it comes within 30 days, and answered "
                "alike; with other content it is refused (409). Keys are the account's own.",
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                "order-1042-ready",
            ),
        ),
        body=models.MessageWanted,
        problems=(400, 402, 409, 413, 415, 422),
        examples={
            "request": {"sms": ["+32475123456"], "text": "Dinner at eight?"},
            "answer": {
                "id": "1042",
                "units": 1,
                "deliveries": [{"id": "1043", "to": "+32475123456", "channel": "sms", "segments": 1}],
            },
        },
    ),
    Operation(
        "GET",
        MESSAGES,
        "listMessages",
        "List the account's messages, newest first",
        models.MessagePage,
        parameters=(
            Parameter(
                "state",
                "query",
                "Only those with a delivery in this state.",
                {"type": "string", "enum": [state.value for state in State]},
            ),
            Parameter(
                "since",
                "query",
                "Only those taken since then: RFC 3339; without an offset, in the account's time zone.",
                {"type": "string", "maxLength": 64},
                "2026-05-01T00:00:00Z",
            ),
            _CURSOR,
            _LIMIT,
        ),
        problems=(422,),
    ),
    Operation(
        "GET",
        MESSAGES + "/{id}",
        "showMessage",
        "One message and everything that happened to it",
        models.MessageStory,
        parameters=(_MESSAGE,),
        problems=(404,),
    ),
    Operation(
        "GET",
        MESSAGES + "/{id}/deliveries",
        "listDeliveries",
        "The recipients of a message, page by page",
        models.DeliveryPage,
        parameters=(_MESSAGE, _CURSOR, _LIMIT),
        problems=(404, 422),
    ),
    Operation("GET", "/api/v1/credit", "showCredit", "What the account has left", models.Credit),
)
