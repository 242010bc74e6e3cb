"""Domains are compared to the letter, organisations by the public suffix list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import domains


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Example.ORG", "example.org"),
        ("exämple.org", "xn--exmple-cua.org"),
        ("XN--EXMPLE-CUA.org", "xn--exmple-cua.org"),
        ("straße.de", "xn--strae-oqa.de"),
        ("localhost", "localhost"),
        ("_dmarc.example.org", "_dmarc.example.org"),
    ],
)
def test_case_and_script_are_the_only_things_that_do_not_matter(written: str, canonical: str) -> None:
    assert domains.canonical(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "example..org",
        "example.org.",
        ".example.org",
        "-example.org",
        "example-.org",
        "exa mple.org",
        "example.org\n",
        "ＥＸＡＭＰＬＥ.org",
        "EXÄMPLE.org",
        "exa\u0308mple.org",  # not composed
        "example\u200b.org",
        "example。org",
        "[192.0.2.1]",
        "a" * 64 + ".org",
        "a." * 127 + "org",
        "example.org(.evil.example",
        "\udce9xample.org",
    ],
)
def test_what_is_no_domain_name_or_only_looks_like_one_is_none(written: str) -> None:
    assert domains.canonical(written) == ""


def test_a_look_alike_stays_another_domain() -> None:
    assert domains.canonical("ｅxample.org") != "example.org"
    assert domains.canonical("еxample.org") not in ("", "example.org")  # a Cyrillic е
    assert not domains.aligned(domains.canonical("еxample.org"), "example.org")


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("example.org", "example.org", True),
        ("mail.example.org", "example.org", True),
        ("a.example.org", "b.example.org", True),
        ("example.org", "example.net", False),
        ("badexample.org", "example.org", False),
        ("example.co.uk", "other.co.uk", False),
        ("co.uk", "example.co.uk", False),
        ("alice.github.io", "bob.github.io", False),
        ("mail.alice.github.io", "alice.github.io", True),
        ("co.uk", "co.uk", True),
        ("localhost", "localhost", True),
        ("a.lan", "b.lan", False),
        ("", "", False),
        ("", "example.org", False),
    ],
)
def test_an_organisation_is_one_label_more_than_the_public_suffix(one: str, other: str, together: bool) -> None:
    assert domains.aligned(one, other) is together
    assert domains.aligned(other, one) is together


@given(st.text(max_size=300))
def test_canonical_never_raises_and_stays_as_it_is(text: str) -> None:
    once = domains.canonical(text)
    assert domains.canonical(once) == once
    assert once.isascii()
    assert once == once.lower()
