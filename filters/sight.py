"""A mail and its circumstances as the tests of filters look at them: each thing is worked out once, when first asked."""

from __future__ import annotations

from functools import cached_property

from filters import authentication_results, excerpt
from filters.authentication_results import AuthenticationResults
from filters.context import Context
from filters.excerpt import Excerpt
from filters.mail import Mail


class Sight:
    """One mail for one account, shared by all its filters. `octets` are the mail as it came, where they are at hand."""

    def __init__(self, mail: Mail, context: Context, octets: bytes = b"") -> None:
        self.mail = mail
        self.context = context
        self.octets = octets

    @cached_property
    def excerpt(self) -> Excerpt:
        """The sender's own words."""
        return excerpt.excerpt(self.mail)

    @cached_property
    def believed(self) -> AuthenticationResults | None:
        """The Authentication-Results that counts, if there is one."""
        if not self.context.authserv_id:
            return None
        return authentication_results.topmost(self.mail.fields, self.context.authserv_id)
