"""How long work tells how far it is; whoever asked for the work draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told ``done`` of ``total`` in a phase named for people; phases follow one another."""

    def __call__(self, phase: str, done: int, total: int, /) -> None:
        """Take note; never raises, never changes the work."""
        ...


def silent(_phase: str, _done: int, _total: int, /) -> None:
    """Nobody is watching."""
