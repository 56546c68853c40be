"""What the addresses below /api take and give. The description at /openapi.json is drawn from these."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from adjourn.core.machine import Ground
from adjourn.core.reading import RiskKind
from adjourn.store import Rating

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-05-04T09:30:00+00:00"])]
Ident = Annotated[str, Field(description="Adjourn's own id of the conversation", examples=["c_0197f3a2c8e"])]
Node = Annotated[str, Field(description="Adjourn's id of a message", examples=["m_0197f3a2d01"])]
Number = Annotated[str, Field(description="the receipt's short number", examples=["AJ-7F3K-92"])]
Role = Literal["user", "assistant"]


class Shape(BaseModel):
    """Nothing but what is named: what an answer holds by mistake is not sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Error(Shape):
    """Why a request was refused. What is refused before the API reads anything has no code, and a `param` of null."""

    message: str = Field(examples=["there is no such conversation or receipt"])
    type: str = Field(examples=["invalid_request_error"])
    code: str | None = Field(examples=["not_found"])
    param: None = None


class Refusal(Shape):
    """What every status from 400 on carries."""

    error: Error


class HelpLine(Shape):
    """Where a person can turn to. `open`: whether somebody answers now, null where that is not known."""

    name: str = Field(examples=["Samaritans"])
    dial: str | None = Field(examples=["116 123"])
    tel: str | None = Field(examples=["+44116123"])
    hours: str | None = Field(examples=["24/7"])
    open: bool | None = Field(examples=[True])
    opens_at: str | None = Field(examples=["9:00"])
    url: str = Field(examples=["https://www.samaritans.org"])
    text: str | None = Field(examples=["SHOUT to 85258"])
    chat: str | None = Field(examples=["https://example.org/chat"])


class Support(Shape):
    """Help lines for who is at risk; `emergency` is the number to call where there is danger now."""

    kind: RiskKind
    emergency: str | None = Field(examples=["999"])
    lines: list[HelpLine]


class Line(Shape):
    """A conversation in the list. `closed`: one of its branches is. `support`: help lines are shown in it."""

    id: Ident
    external_id: str | None = Field(description="the client's own id of it", examples=["chat-17"])
    user: str | None = Field(description="the end user, as the client named them", examples=["user-7"])
    opened_at: Time
    last_at: Time
    messages: int = Field(ge=0, examples=[6])
    support: bool
    closed: bool = Field(examples=[True])


class Page(Shape):
    """Conversations, the newest first. `next` is the value of `before` for the page that follows."""

    conversations: list[Line]
    next: str | None = Field(examples=["1777887000000.c_0197f3a2c8e"])


class End(Shape):
    """An end: nothing is taken below `answer`, as long as it stands. A reviewer or a sign of risk can lift it."""

    number: Number
    answer: Node
    ground: Ground
    sentence: str = Field(description="why, in one sentence", examples=["Insults went on after a notice."])
    at: Time
    stands: bool = Field(examples=[True])


class State(Shape):
    """What a client needs to draw a conversation: its ends, and the help lines if they are shown."""

    id: Ident
    external_id: str | None = Field(description="the client's own id of it", examples=["chat-17"])
    user: str | None = Field(description="the end user, as the client named them", examples=["user-7"])
    opened_at: Time
    last_at: Time
    messages: int = Field(ge=0, examples=[6])
    closed: bool = Field(description="whether one of its branches is closed", examples=[True])
    ends: list[End]
    support: Support | None


class Turn(Shape):
    """A message that an end rests on; its text, unless it was erased."""

    node: Node
    role: Role
    text: str | None = Field(examples=["This is a forbidden request."])


class Rules(Shape):
    """The policy in force: the digest says exactly which, the revision is the operator's name for it."""

    digest: str = Field(examples=["9b1f0c2e7d"])
    revision: str | None = Field(examples=["2026-05"])


class Receipt(End):
    """What a person is told of an end, whole."""

    conversation: Ident
    turns: list[Turn]
    policy: Rules


class Receipts(Shape):
    """Every receipt of a conversation, in the order of the ends."""

    receipts: list[Receipt]


class Message(Shape):
    """A message of an exported conversation; `parent` is the index of the one above it."""

    index: int = Field(examples=[2])
    parent: int | None = Field(examples=[1])
    node: Node
    role: Role
    text: str | None = Field(examples=["This is a forbidden request."])
    at: Time


class ExportedReceipt(Shape):
    """A receipt in an exported conversation. `turns` are nodes, `policy` is the digest."""

    number: Number
    conversation: Ident
    ground: Ground
    sentence: str = Field(examples=["Insults went on after a notice."])
    turns: list[Node]
    at: Time
    policy: str = Field(examples=["9b1f0c2e7d"])
    stands: bool = Field(examples=[True])


class Exported(Shape):
    """A conversation as a person can keep it, with all its branches and receipts."""

    conversation: Ident
    opened_at: Time
    messages: list[Message]
    receipts: list[ExportedReceipt]


Reason = Annotated[str, Field(min_length=1, max_length=100, examples=["fiction"])]


class Said(Shape):
    """What a person thinks of a conversation, or of one message or end of it. `wrong_end` asks for a second look."""

    about: str | None = Field(
        default=None,
        max_length=200,
        description="a node, or a receipt's number; null: all of it",
        examples=["AJ-7F3K-92"],
    )
    rating: Rating = Field(examples=[Rating.WRONG_END])
    reasons: list[Reason] = Field(default=[], max_length=20)
    text: str | None = Field(default=None, max_length=10_000, examples=["It was for a story."])


class Kept(Said):
    """Feedback as it is kept. After an erasure, reasons and text are gone."""

    at: Time


class AllSaid(Shape):
    """The feedback on a conversation, in the order in which it came."""

    feedback: list[Kept]


class Nothing(Shape):
    """An empty object: what is sent is JSON, so that no other site's form can send it."""


class Erasure(Shape):
    """The words of this conversation are gone."""

    id: Ident
    erased: Literal[True] = True
