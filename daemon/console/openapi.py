"""The OpenAPI 3.1 document, made of the operations' table and the models."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import daemon
from daemon.console.models import ProblemDocument
from daemon.console.operations import OPERATIONS, Operation, Parameter
from daemon.console.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
#: Errors any operation may answer with, and what they mean.
_ALWAYS = (401, 408, 429, 431, 500, 503)
_MEANINGS = {
    400: "What was sent is no JSON, or no HTTP.",
    401: "The bearer token is missing, unknown or revoked.",
    402: "Not enough credit: `needed` and `left` say how many units. Nothing is charged.",
    404: "The account has no such message.",
    408: "The request took too long to come.",
    409: "The idempotency key was used before, for something else.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "Something is wrong with a recipient or a member: `errors` says with which, and what.",
    429: "More requests than the operator allows: `Retry-After` says how many seconds to wait.",
    431: "The head of the request is too large.",
    500: "A defect of ours; the log has it under `request_id`.",
    503: "It cannot be done now: try again after `Retry-After` seconds, with the same idempotency key.",
}


def document() -> dict[str, Any]:
    """The whole document, ready for JSON."""
    models: set[type[BaseModel]] = {ProblemDocument}
    for operation in OPERATIONS:
        models.add(operation.answer)
        if operation.body is not None:
            models.add(operation.body)
    in_order = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in in_order], ref_template=_REF)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": daemon.__version__,
            "summary": "Send a message, and see what became of it.",
            "description": "Instants are RFC 3339 in UTC, numbers E.164, ids opaque. Errors are problem documents "
            "(RFC 9457); their `detail` is a sentence for people.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "responses": {str(status): _problem(status) for status in _MEANINGS},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of one account: `tocsin token add ACCOUNT` makes it.",
                }
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"schema": {"$ref": _REF.format(model=operation.answer.__name__)}}
    if "answer" in operation.examples:
        answer["example"] = operation.examples["answer"]
    responses: dict[str, Any] = {
        str(operation.status): {
            "description": HTTPStatus(operation.status).phrase,
            "content": {"application/json": answer},
        }
    }
    for status in sorted({*operation.problems, *_ALWAYS}):
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": responses,
    }
    if operation.description:
        found["description"] = operation.description
    if operation.parameters:
        found["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.body is not None:
        content: dict[str, Any] = {"schema": {"$ref": _REF.format(model=operation.body.__name__)}}
        if "request" in operation.examples:
            content["example"] = operation.examples["request"]
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    return found


def _parameter(one: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": one.name,
        "in": one.where,
        "description": one.description,
        "schema": dict(one.schema),
        "required": one.where == "path",
    }
    if one.example is not None:
        found["example"] = one.example
    return found


def _problem(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDocument")}}},
    }
    headers = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    if status in headers:
        found["headers"] = {headers[status]: {"schema": {"type": "string"}, "required": True}}
    return found
