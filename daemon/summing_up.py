"""What waited is told when it is due; an account whose notices cannot be told does not keep it from the others."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from gateway import summaries
from gateway.store.errors import StoreError
from gateway.store.store import Store
from gateway.summaries import Released
from gateway.telling import House

log = logging.getLogger(__name__)

#: When an account that could not be served is looked at again.
_LATER = timedelta(minutes=5)


async def sum_up(store: Store, house: House, now: datetime) -> Released:
    """Say what is due. Raises StoreError; a defect of ours is logged, and put off."""
    is_due, next_due = await store.read(partial(summaries.is_due, now=now))
    if not is_due:
        return Released(due=next_due)
    work = partial(summaries.release, identifiers=store.identifiers, house=house, now=now)
    try:
        return await store.run(work)
    except StoreError:
        raise
    except Exception:
        log.exception("summaries failed; each account is looked at alone", extra={"action": "summaries_split"})
    routes: set[str] = set()
    for account in await store.read(partial(summaries.due_accounts, now=now)):
        try:
            done = await store.run(partial(work, only=account))
            routes |= done.routes
        except StoreError:
            raise
        except Exception as error:
            facts = {"action": "summary_failed", "account": account}
            log.error("the notices of account %d cannot be told: %s", account, type(error).__name__, extra=facts)
            await store.run(partial(summaries.put_off, account=account, until=now + _LATER))
    return Released(frozenset(routes), more=True)
