"""What every command and test may be followed by: one table (RFC 5228 sections 3 to 5, and each extension's own)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: What a parameter may be: one string, a string or a list of them, a number.
Parameter: TypeAlias = Literal["string", "strings", "number"]


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged argument: of tags with one `group` at most one stands. `needs` is the extension that brings it."""

    name: str
    group: str
    takes: Parameter | None = None
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """A command or test: the extension that brings it, its tags, its arguments in order.

    `optional` is how many of the first arguments may be missing. `tests`: how many follow; `block`: whether one does.
    """

    kind: Literal["control", "action", "test"]
    takes: tuple[Parameter, ...] = ()
    tags: tuple[Tag, ...] = ()
    needs: str | tuple[str, ...] = ""
    optional: int = 0
    tests: Literal["none", "one", "many"] = "none"
    block: bool = False


_COMPARATOR = (Tag("comparator", "comparator", "string"),)
_MATCH = (
    Tag("is", "match"),
    Tag("contains", "match"),
    Tag("matches", "match"),
    Tag("regex", "match", needs="regex"),
    Tag("value", "match", "string", needs="relational"),
    Tag("count", "match", "string", needs="relational"),
    Tag("list", "match", needs="extlists"),
    *_COMPARATOR,
)
_ADDRESS_PART = (
    Tag("all", "address-part"),
    Tag("localpart", "address-part"),
    Tag("domain", "address-part"),
    Tag("user", "address-part", needs="subaddress"),
    Tag("detail", "address-part", needs="subaddress"),
)
_INDEX = (Tag("index", "index", "number", needs="index"), Tag("last", "last", needs="index"))
_MIME = (Tag("mime", "mime", needs="mime"), Tag("anychild", "anychild", needs="mime"))
_MIME_PART = (
    *_MIME,
    Tag("type", "mime-option", needs="mime"),
    Tag("subtype", "mime-option", needs="mime"),
    Tag("contenttype", "mime-option", needs="mime"),
    Tag("param", "mime-option", "strings", needs="mime"),
)
_ZONE = (Tag("zone", "zone", "string"),)
_COPY = (Tag("copy", "copy", needs="copy"),)
_FLAGS = (Tag("flags", "flags", "strings", needs="imap4flags"),)
_BODY = (Tag("raw", "transform"), Tag("content", "transform", "strings"), Tag("text", "transform"))
_MODIFIERS = (  # the group is the precedence (RFC 5229 section 4.1)
    Tag("lower", "40"),
    Tag("upper", "40"),
    Tag("lowerfirst", "30"),
    Tag("upperfirst", "30"),
    Tag("quotewildcard", "20"),
    Tag("quoteregex", "20", needs="regex"),
    Tag("encodeurl", "15", needs="enotify"),  # RFC 5435 section 6
    Tag("length", "10"),
)

CONTROLS: Mapping[str, Signature] = {
    "if": Signature("control", tests="one", block=True),
    "elsif": Signature("control", tests="one", block=True),
    "else": Signature("control", block=True),
    "stop": Signature("control"),
    "set": Signature("control", ("string", "string"), _MODIFIERS, "variables"),
    "foreverypart": Signature("control", (), (Tag("name", "name", "string"),), "foreverypart", block=True),
    "break": Signature("control", (), (Tag("name", "name", "string"),), "foreverypart"),
}

ACTIONS: Mapping[str, Signature] = {
    "notify": Signature(
        "action",
        ("string",),
        (
            Tag("from", "from", "string"),
            Tag("importance", "importance", "string"),
            Tag("options", "options", "strings"),
            Tag("message", "message", "string"),
        ),
        "enotify",
    ),
    "extracttext": Signature(
        "action", ("string",), (*_MODIFIERS, Tag("first", "first", "number")), ("extracttext", "foreverypart")
    ),
    "keep": Signature("action", (), _FLAGS),
    "discard": Signature("action"),
    "fileinto": Signature(
        "action",
        ("string",),
        (
            *_COPY,
            *_FLAGS,
            Tag("create", "create", needs="mailbox"),
            Tag("specialuse", "specialuse", "string", needs="special-use"),
        ),
        "fileinto",
    ),
    "redirect": Signature("action", ("string",), (*_COPY, Tag("list", "list", needs="extlists"))),
    "reject": Signature("action", ("string",), (), "reject"),
    "ereject": Signature("action", ("string",), (), "ereject"),
    "vacation": Signature(
        "action",
        ("string",),
        (
            Tag("days", "period", "number"),
            Tag("seconds", "period", "number", needs="vacation-seconds"),
            Tag("subject", "subject", "string"),
            Tag("from", "from", "string"),
            Tag("addresses", "addresses", "strings"),
            Tag("mime", "mime"),
            Tag("handle", "handle", "string"),
        ),
        "vacation",
    ),
    "setflag": Signature("action", ("string", "strings"), (), "imap4flags", optional=1),
    "addflag": Signature("action", ("string", "strings"), (), "imap4flags", optional=1),
    "removeflag": Signature("action", ("string", "strings"), (), "imap4flags", optional=1),
    "addheader": Signature("action", ("string", "string"), (Tag("last", "last"),), "editheader"),
    "deleteheader": Signature(
        "action",
        ("string", "strings"),
        (Tag("index", "index", "number"), Tag("last", "last"), *_MATCH),
        "editheader",
        optional=-1,  # the last one
    ),
}

TESTS: Mapping[str, Signature] = {
    "true": Signature("test"),
    "false": Signature("test"),
    "not": Signature("test", tests="one"),
    "allof": Signature("test", tests="many"),
    "anyof": Signature("test", tests="many"),
    "header": Signature("test", ("strings", "strings"), (*_MATCH, *_INDEX, *_MIME_PART)),
    "address": Signature("test", ("strings", "strings"), (*_MATCH, *_ADDRESS_PART, *_INDEX, *_MIME)),
    "envelope": Signature("test", ("strings", "strings"), (*_MATCH, *_ADDRESS_PART), "envelope"),
    "exists": Signature("test", ("strings",), _MIME),
    "size": Signature("test", ("number",), (Tag("over", "limit"), Tag("under", "limit"))),
    "body": Signature("test", ("strings",), (*_MATCH, *_BODY), "body"),
    "date": Signature(
        "test", ("string", "string", "strings"), (*_MATCH, *_INDEX, *_ZONE, Tag("originalzone", "zone")), "date"
    ),
    "currentdate": Signature("test", ("string", "strings"), (*_MATCH, *_ZONE), "date"),
    "string": Signature("test", ("strings", "strings"), _MATCH, "variables"),
    "spamtest": Signature("test", ("string",), (*_MATCH, Tag("percent", "percent", needs="spamtestplus")), "spamtest"),
    "duplicate": Signature(
        "test",
        (),
        (
            Tag("handle", "handle", "string"),
            Tag("header", "unique", "string"),
            Tag("uniqueid", "unique", "string"),
            Tag("seconds", "seconds", "number"),
            Tag("last", "last"),
        ),
        "duplicate",
    ),
    "valid_notify_method": Signature("test", ("strings",), (), "enotify"),
    "notify_method_capability": Signature("test", ("string", "string", "strings"), _MATCH, "enotify"),
    "valid_ext_list": Signature("test", ("strings",), (), "extlists"),
    "hasflag": Signature("test", ("strings", "strings"), _MATCH, "imap4flags", optional=1),
    "mailboxexists": Signature("test", ("strings",), (), "mailbox"),
    "specialuse_exists": Signature("test", ("string", "strings"), (), "special-use", optional=1),
}
