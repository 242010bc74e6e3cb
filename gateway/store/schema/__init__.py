"""The tables. The segment row is the queue; everything else says who, what, and what it cost.

Instants are stored as microseconds since 1970 UTC (`Instant`), the same on both databases. The hot tables (message,
delivery, segment, attempt, ledger) carry no foreign keys: their rows are made and settled by the thousand, always in
one transaction with what they point at.
"""

from __future__ import annotations

from gateway.store.schema.attachments import attachment as attachment
from gateway.store.schema.attachments import postmark as postmark
from gateway.store.schema.base import Instant as Instant
from gateway.store.schema.base import Key as Key
from gateway.store.schema.base import metadata as metadata
from gateway.store.schema.contacts import contact as contact
from gateway.store.schema.contacts import contact_address as contact_address
from gateway.store.schema.contacts import group as group
from gateway.store.schema.contacts import list_member as list_member
from gateway.store.schema.contacts import member as member
from gateway.store.schema.contacts import optout as optout
from gateway.store.schema.contacts import recipient_list as recipient_list
from gateway.store.schema.contacts import telephone as telephone
from gateway.store.schema.credit import ledger as ledger
from gateway.store.schema.credit import period as period
from gateway.store.schema.credit import provision as provision
from gateway.store.schema.fate import attempt as attempt
from gateway.store.schema.fate import event as event
from gateway.store.schema.fate import incoming as incoming
from gateway.store.schema.fate import owed as owed
from gateway.store.schema.fate import receipt as receipt
from gateway.store.schema.house import component as component
from gateway.store.schema.house import counter as counter
from gateway.store.schema.house import node as node
from gateway.store.schema.house import slot as slot
from gateway.store.schema.mailboxes import arrived as arrived
from gateway.store.schema.mailboxes import folder as folder
from gateway.store.schema.mailboxes import mailbox as mailbox
from gateway.store.schema.messages import LONG_UNDER_WAY as LONG_UNDER_WAY
from gateway.store.schema.messages import chunk as chunk
from gateway.store.schema.messages import delivery as delivery
from gateway.store.schema.messages import ever as ever
from gateway.store.schema.messages import hold as hold
from gateway.store.schema.messages import message as message
from gateway.store.schema.messages import past as past
from gateway.store.schema.messages import seen as seen
from gateway.store.schema.messages import segment as segment
from gateway.store.schema.messages import share as share
from gateway.store.schema.messages import turn as turn
from gateway.store.schema.notices import WAITING as WAITING
from gateway.store.schema.notices import duplicate as duplicate
from gateway.store.schema.notices import filters as filters
from gateway.store.schema.notices import notice as notice
from gateway.store.schema.notices import notifying as notifying
from gateway.store.schema.notices import spoken as spoken
from gateway.store.schema.notices import told as told
from gateway.store.schema.people import account as account
from gateway.store.schema.people import address as address
from gateway.store.schema.people import plan as plan
from gateway.store.schema.people import token as token
