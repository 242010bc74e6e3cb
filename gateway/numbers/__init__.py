"""Telephone numbers as people write them: which number is meant, whether an SMS can reach it, and advice where not.

`read` judges a number, `sms_number` gives its E.164 form or refuses, `describe` is what `tocsin try number` prints.
The knowledge of numbering plans is the library phonenumbers'.
"""

from gateway.numbers.number import Fault, Number, describe, known_region, read, sms_number
from gateway.numbers.plans import CAN_GET_SMS, Kind

__all__ = ["CAN_GET_SMS", "Fault", "Kind", "Number", "describe", "known_region", "read", "sms_number"]
