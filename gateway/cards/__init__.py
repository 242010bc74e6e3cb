"""vCards in and out: versions 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350).

`read` makes entries of a file's cards and names those that are broken, `take` puts them into a book, `write` makes a
card of a contact.
"""

from gateway.cards.reading import Card, Fault, Reading, read
from gateway.cards.taking import Taken, take
from gateway.cards.writing import VERSIONS, write

__all__ = ["VERSIONS", "Card", "Fault", "Reading", "Taken", "read", "take", "write"]
