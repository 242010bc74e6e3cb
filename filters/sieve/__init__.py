"""Sieve scripts (RFC 5228) as filters: read with sievelib's lexer, evaluated by Sieve's own semantics.

`parse(text)` gives a `Script`, or raises `SieveError` with the line; a script is a rule of `filters.evaluation`.
"""

from filters.sieve.error import SieveError
from filters.sieve.machine import Remember
from filters.sieve.script import Outcome, Script, parse

__all__ = ["Outcome", "Remember", "Script", "SieveError", "parse"]
