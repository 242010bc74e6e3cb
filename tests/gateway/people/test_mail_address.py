"""E-mail addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import mail_address
from gateway.failure import RefusedError


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (" Jean.Dupont@Example.ORG ", "Jean.Dupont@example.org"),
        ("mailto:a+b@x.example", "a+b@x.example"),
        ("root@localhost", "root@localhost"),
        ("zoé@example.org", "zoé@example.org"),
        ("a@MÜNCHEN.example", "a@xn--mnchen-3ya.example"),
    ],
)
def test_an_address_is_kept_with_its_domain_as_dns_has_it(written: str, address: str) -> None:
    assert mail_address.checked(written) == address


@pytest.mark.parametrize(
    "written",
    [
        *("", "jean", "@example.org", "jean@", "a@b@c", "a b@example.org", "a@exa mple.org", "a..b@example.org"),
        *(
            ".a@example.org",
            "a@-b.org",
            "a@b..org",
            "a\r\nBcc: x@y.org",
            "<a@b.org>",
            "Jean <a@b.org>",
            "a@b.org, c@d.org",
        ),
        *(
            "a" * 65 + "@example.org",
            "a@" + "b" * 250 + ".org",
            "a@\ud800.org",
            "a\x00@b.org",
            "a@" + "ü" * 70 + ".org",
        ),
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(RefusedError, match=r"write it as name@example\.org") as refused:
        mail_address.checked(written)
    assert refused.value.smtp == "550 5.1.3"


@given(st.text(max_size=80).map(lambda text: f"{text}@example.org") | st.text(max_size=80))
def test_what_is_taken_can_stand_in_an_envelope(text: str) -> None:
    try:
        address = mail_address.checked(text)
    except RefusedError:
        return
    assert address.count("@") == 1
    assert address.isprintable()
    assert not set(address) & set(' <>()[]\\,;:"')
    assert mail_address.checked(address) == address
