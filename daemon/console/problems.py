"""Every error the HTTP side answers with: a problem document (RFC 9457), a sentence for people in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """One answer that is an error.

    `detail` is what is wrong and what to do. `errors` name parts of the request: `recipient` as it was written, or
    `path` in the body, each with its own `detail`. `more` are further members; `fields` further header fields.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
        fields: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.more = more
        self.fields = dict(fields or {})
        if retry_after is not None:
            self.fields["retry-after"] = str(max(1, -int(-retry_after // 1)))

    def body(self, request: str = "") -> bytes:
        """The document; `request` is the id under which the log speaks of it."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        if self.errors:
            document["errors"] = list(self.errors)
        if request:
            document["request_id"] = request
        return json.dumps(document).encode()

    def headers(self, body: bytes) -> list[tuple[bytes, bytes]]:
        """The header fields that go with the body."""
        return [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            *((name.encode(), value.encode("latin-1", "replace")) for name, value in self.fields.items()),
        ]
