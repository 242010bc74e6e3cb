"""The ids SMS centres give: written one way in submit_sm_resp and another in the receipt.

Seen in the field: `39f99dd5` answered and `0972660181` in the receipt (the same number, in decimal, padded); another
case; leading zeros lost; UUIDs; numbers beyond 2^63. A segment is kept under the folded form of what was answered, and
looked for under every folded form that what the receipt says may have had.
"""

from __future__ import annotations

import re

_HEX = re.compile(r"[0-9a-f]{1,32}")
_DECIMAL = re.compile(r"[0-9]{1,39}")


def fold(written: str) -> str:
    """Lower case, without blanks and leading zeros: `00B8BE19` and `b8be19` are the same."""
    return written.strip().lower().lstrip("0") or "0"


def folded_forms(written: str) -> tuple[str, ...]:
    """What the other side may have written for this id, likeliest first: the same, hex for decimal, decimal for hex."""
    same = fold(written)
    forms = [same]
    if _DECIMAL.fullmatch(same):
        forms.append(f"{int(same):x}")
    if _HEX.fullmatch(same):
        forms.append(str(int(same, 16)))
    return tuple(dict.fromkeys(forms))
