"""The hot verbs of the house, on sets: what `Store.do` can be asked for.

In one set they run in this order: receipts and outcomes first, since they free what others wait for, then intake and
notices, then claims, which so find what was just taken in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from gateway import claims, intake, notices, receipts, settlement
from gateway.draft import Draft
from gateway.failure import RefusedError
from gateway.message import Claimed
from gateway.store.carrier import Both, Verb
from gateway.store.identifiers import Identifiers
from gateway.store.store import Store

SETTLE = "settle"
RECEIVE = "receive"
SUBMIT = "submit"
NOTE = "note"
CLAIM = "claim"


def open_store(engine: Engine) -> Store:
    """The store of a daemon or a command, with its hot verbs."""
    identifiers = Identifiers()

    def settle(connection: Connection, members: Sequence[settlement.Settle]) -> list[settlement.Settled]:
        answers = settlement.settle_many(connection, members, identifiers)
        outcomes = [outcome for member in members for outcome in member.outcomes]
        receipts.adopt_orphans(connection, outcomes, max(member.now for member in members))
        return answers

    def settle_and_receive(
        connection: Connection, members: Sequence[settlement.Settle], told: Sequence[receipts.Receive]
    ) -> tuple[list[settlement.Settled], list[int | None]]:
        return receipts.settle_and_receive(connection, members, told, identifiers)

    def submit(connection: Connection, members: Sequence[Draft]) -> list[intake.Taken | RefusedError]:
        return intake.submit_many(connection, members, identifiers)

    def note(connection: Connection, members: Sequence[notices.Member]) -> Sequence[Any]:
        return notices.record_many(connection, members, identifiers)

    def submit_and_claim(
        connection: Connection, drafts: Sequence[Draft], wanted: Sequence[claims.Claim]
    ) -> tuple[list[intake.Taken | RefusedError], list[list[Claimed]]]:
        """What is free to leave at once is claimed as it is stored, where nothing waits before it."""
        grants = claims.grants(connection, wanted)
        answers = intake.submit_many(connection, drafts, identifiers, grants)
        others = [claim for claim in wanted if claim.route not in grants]
        found = iter(claims.claim_many(connection, others) if others else ())
        return answers, [grants[one.route].taken if one.route in grants else next(found) for one in wanted]

    verbs: dict[str, Verb] = {
        SETTLE: settle,
        RECEIVE: receipts.receive_many,
        SUBMIT: submit,
        NOTE: note,
        CLAIM: claims.claim_many,
    }
    both: dict[tuple[str, str], Both] = {(SETTLE, RECEIVE): settle_and_receive, (SUBMIT, CLAIM): submit_and_claim}
    return Store(engine, verbs, both=both, identifiers=identifiers)
