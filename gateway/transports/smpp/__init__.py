"""SMPP 3.4 over TCP: how segments reach an operator's SMS centre.

From the wire inwards: `pdu` (what a PDU is, and cutting them out of a stream), `codec` (octets to PDUs and back),
`session` (the protocol without I/O), `link` (one connection), `client` (one route's connections: the transport).
Beside them `status` and `receipt` (what the operator's words mean), `submission` (a segment as a submit_sm), `pace`
(how fast), and `centre`, a small SMS centre from the same session, for the demo and for faults in tests.
"""
