"""An answer of a model's as it comes: what it said, and how it came to its end."""

from dataclasses import dataclass, field

from adjourn.core.machine import Finish


@dataclass(slots=True)
class Reply:
    """What has come so far. `finish`: None until it says that it is at its end.

    `calls`: the ids of the client's tools that it calls; with any it is not an answer yet. `tools`: their names and
    arguments. `over`: no more of it comes, whatever the connection does. `unread`: some of it could not be read.
    `siblings`: further answers to the same message (`n > 1`). `blocks`: how many blocks of content have begun, on a
    wire that has them. `arguments`: what has come of a tool's, while they come.
    """

    text: list[str] = field(default_factory=list)
    finish: Finish | None = None
    calls: list[str] = field(default_factory=list)
    tools: list[tuple[str, str]] = field(default_factory=list)
    over: bool = False
    unread: bool = False
    siblings: dict[int, "Reply"] = field(default_factory=dict)
    blocks: int = 0
    arguments: list[str] | None = None

    @property
    def words(self) -> str:
        return "".join(self.text)

    def finished(self) -> Finish:
        """Return how it came to its end."""
        return Finish.UNREADABLE if self.unread else self.finish or Finish.STOP

    def choice(self, index: object) -> "Reply":
        """Return the answer with this index: this one, or one beside it."""
        if not isinstance(index, int) or index <= 0:
            return self
        return self.siblings.setdefault(index, Reply())
