"""Values: dataclasses that nobody changes, for the hot paths.

`@dataclass(frozen=True)` sets each field by `object.__setattr__`, which costs several times what an assignment does,
and a message makes some thirty values with two hundred fields on its way. A `@value` is frozen for the type checker;
when it runs it is a dataclass with slots, equality and a hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a value of a class with annotated fields."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
