"""What the API takes and answers, as models: requests are read by them, the OpenAPI document is made of them.

Answers are plain documents, made where their rows are read; a test holds them against these models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.message import State

#: The most recipients of one message, the longest text (255 parts) and subject, in characters.
MOST_RECIPIENTS, LONGEST_TEXT, LONGEST_SUBJECT = 200_000, 255 * 160, 1000

Written = Annotated[str, Field(min_length=1, max_length=400)]
Several = Annotated[list[Written], Field(max_length=MOST_RECIPIENTS)]
Channel = Literal["sms", "email", "fax"]
StateName = Annotated[State, Field(description="The state of a segment, a delivery or a message.")]
Id = Annotated[str, Field(pattern=r"^[0-9]{1,18}$", description="Opaque.")]
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC.")]
Link = Annotated[str, Field(description="A path on this server, where it can be read in pages.")]


class Model(BaseModel):
    """Unknown members are faults, and no value is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class MessageWanted(Model):
    """A message to send."""

    sms: Several = Field(
        default_factory=list,
        description="Who is to get an SMS: numbers, or names of contacts.",
        examples=[["+32475123456"]],
    )
    email: Several = Field(
        default_factory=list, description="Who is to get an e-mail: addresses, or names of contacts."
    )
    fax: Several = Field(default_factory=list, description="Who is to get a fax: numbers, or names of contacts.")
    lists: Several = Field(default_factory=list, description="Names of the account's lists.")
    subject: str = Field(default="", max_length=LONGEST_SUBJECT, description="Of an SMS, where there is no text.")
    text: str = Field(default="", max_length=LONGEST_TEXT, description="What to say.", examples=["Dinner at eight?"])
    at: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="When it leaves: RFC 3339; without an offset, in the account's time zone.",
        examples=["2026-05-01T14:30:00+02:00"],
    )
    validity: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="For how long it may be tried, as an ISO 8601 duration; else as long as the route says.",
        examples=["PT2H"],
    )
    urgent: bool = Field(default=False, description="Before what else the account has waiting.")
    flash: bool = Field(default=False, description="Shown at once by the handset, which keeps nothing.")


class DeliveryTaken(Model):
    """One recipient of a message that was taken."""

    id: Id
    to: str
    channel: Channel
    segments: int


class MessageTaken(Model):
    """A message that is committed: it reaches the operator, or its sender is told why not and has the units back."""

    id: Id
    units: int = Field(description="What it costs; taken aside until the operator accepts it.")
    deliveries: list[DeliveryTaken] | Link = Field(description="Above 1,000 recipients a link.")


class Delivery(Model):
    """One recipient."""

    id: Id
    to: str
    channel: Channel
    state: StateName
    name: str = Field(description="What was written, where it was not the address.")


class Attempt(Model):
    """One try to hand a segment over."""

    at: Instant
    route: str
    result: str
    code: str
    detail: str


class Segment(Model):
    """One short message of a delivery."""

    id: Id
    n: int
    state: StateName
    route: str
    units: int
    due: Instant | None
    resent: bool = Field(description="The answer was lost and it was sent again; charged once.")
    peer_id: str | None
    attempts: list[Attempt]


class DeliveryStory(Delivery):
    """One recipient with its segments."""

    segments: list[Segment]


class Moment(Model):
    """One line of a timeline."""

    at: Instant
    what: str
    detail: str


class MessageListed(Model):
    """A message in a list."""

    id: Id
    account: str | None
    origin: str
    state: StateName
    created: Instant
    recipients: int
    deliveries: list[Delivery] | Link


class FileAlong(Model):
    """A file that goes along with a message's e-mails; `size` in octets."""

    name: str
    type: str
    size: int


class MessageStory(MessageListed):
    """A message and everything that happened to it; above 1,000 recipients without a timeline."""

    deliveries: list[DeliveryStory] | Link  # type: ignore[assignment]
    subject: str
    text: str
    at: Instant | None
    expires: Instant
    urgent: bool
    attachments: list[FileAlong]
    timeline: list[Moment]


class MessagePage(Model):
    """A page of messages, newest first."""

    messages: list[MessageListed]
    cursor: str | None = Field(description="Continues with the next page; null: there is none.")


class DeliveryPage(Model):
    """A page of a message's recipients, in the order in which they were taken."""

    deliveries: list[DeliveryStory]
    cursor: str | None = Field(description="Continues with the next page; null: there is none.")


class Allotment(Model):
    """What the plan includes this month."""

    granted: int
    used: int
    reserved: int
    left: int
    ends: Instant | None


class Provision(Model):
    """What was bought, and does not lapse."""

    bought: int
    used: int
    reserved: int
    left: int


class Credit(Model):
    """What the account has."""

    allotment: Allotment
    provision: Provision
    left: int


class Wrong(BaseModel):
    """One thing that is wrong with a request: with a recipient as it was written, or with a member of the body."""

    model_config = ConfigDict(extra="allow")

    recipient: str | None = None
    path: str | None = None
    detail: str


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="What is wrong, and what to do.")
    request_id: str | None = Field(default=None, description="Under which the operator's log speaks of it.")
    errors: list[Wrong] = Field(default=[], description="What is wrong with which recipient or member.")
    needed: int | None = Field(default=None, description="Of 402: units needed.")
    left: int | None = Field(default=None, description="Of 402: units left.")
