"""The library: conversations, decisions and words, for whoever has the sockets and calls the model."""

from adjourn.host.aside import Aside
from adjourn.host.host import Host
from adjourn.host.known_ends import Closed
from adjourn.host.turn import Manner, Turn
from adjourn.host.witnesses import Witness, Witnesses

__all__ = ["Aside", "Closed", "Host", "Manner", "Turn", "Witness", "Witnesses"]
