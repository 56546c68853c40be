"""Tables that say which of their cells were looked up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

TABLES = ("MESSAGES", "ANSWERS", "REGISTERS")


class Recorder(dict[tuple[str, str], str]):
    """A table that notes the cells that somebody asks for, empty ones too."""

    def __init__(self, name: str, table: dict[tuple[str, str], str], noted: set[tuple[str, str, str]]) -> None:
        super().__init__(table)
        self.name = name
        self.noted = noted

    def _note(self, cell: tuple[str, str]) -> None:
        self.noted.add((self.name, str(cell[0]), str(cell[1])))

    def __getitem__(self, cell: tuple[str, str]) -> str:
        self._note(cell)
        return super().__getitem__(cell)

    def get(self, cell: tuple[str, str], default: Any = None) -> Any:
        self._note(cell)
        return super().get(cell, default)

    def __contains__(self, cell: object) -> bool:
        assert isinstance(cell, tuple)
        self._note(cell)
        return super().__contains__(cell)


@contextmanager
def recorded(module: ModuleType) -> Iterator[set[tuple[str, str, str]]]:
    """The cells of the module's tables that are looked up within."""
    noted: set[tuple[str, str, str]] = set()
    before = {name: getattr(module, name) for name in TABLES}
    for name, table in before.items():
        setattr(module, name, Recorder(name, table, noted))
    try:
        yield noted
    finally:
        for name, table in before.items():
            setattr(module, name, table)
