"""Boards in memory, as the port says, with what may go wrong: between any two calls somebody else acts, or all ends."""

from __future__ import annotations

from collections.abc import Callable

from functions.wallet.tally import GIVER, Progress, Row, Sums


class MemoryBoards:
    """Rows by board and name; ``between`` is called before each call."""

    def __init__(self, between: Callable[[], None] = lambda: None) -> None:
        self.kept: dict[tuple[str, str], tuple[Sums, int]] = {}
        self.places: dict[str, Progress] = {}
        self.between = between

    def progress(self, creator: str) -> Progress:
        self.between()
        return self.places.get(creator, Progress())

    def advance(self, creator: str, before: Progress, after: Progress) -> bool:
        self.between()
        if self.places.get(creator, Progress()) != before:
            return False
        self.places[creator] = after
        return True

    def add(self, row: Row, batch: int) -> None:
        self.between()
        sums, upto = self.kept.get((row.board, row.name), (Sums(), 0))
        if upto < batch:
            self.kept[row.board, row.name] = (sums.plus(row.sums), batch)

    def top(self, board: str, limit: int) -> list[Row]:
        found = self.rows(board, GIVER)
        return sorted(found, key=lambda each: -each.sums.coins)[:limit]

    def rows(self, board: str, prefix: str) -> list[Row]:
        self.between()
        found = [Row(*key, sums) for key, (sums, _) in self.kept.items() if key[0] == board]
        return sorted((each for each in found if each.name.startswith(prefix)), key=lambda each: each.name)
