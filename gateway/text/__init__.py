"""What is said by SMS: from a text to the octets of its segments, and back.

`cut` makes segments of a text, `describe` shows them as `tocsin try segments` prints them, `decode` reads the
`short_message` of what a handset sent, `fit` shortens a text to so many parts.
"""

from gateway.text.fitting import fit
from gateway.text.received import decode
from gateway.text.segments import LETTER, MAX_PARTS, Cut, Part, cut, describe

__all__ = ["LETTER", "MAX_PARTS", "Cut", "Part", "cut", "decode", "describe", "fit"]
