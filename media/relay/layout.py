"""Where each picture of a composition stands on the canvas. Pure; all numbers are even, as 4:2:0 needs."""

from __future__ import annotations

import math
from typing import Final

import msgspec

LAYOUTS: Final = ("grid", "spotlight", "side_by_side")
# Of the canvas's longer side; the strip of guests beside the host.
_STRIP_SHARE: Final = 0.25


class Cell(msgspec.Struct, frozen=True):
    """A rectangle of the canvas, in pixels."""

    x: int
    y: int
    width: int
    height: int


def cells(layout: str, count: int, width: int, height: int) -> list[Cell]:
    """Rectangles for ``count`` pictures, the host's first; they neither overlap nor leave the canvas.

    ``grid``: as equal as can be, the last row centred. ``spotlight``: the host large, guests in a strip below (upright
    canvas) or beside (wide one). ``side_by_side``: the host in one half, guests in the other. An unknown layout is a
    grid.
    """
    if count <= 1:
        return [Cell(0, 0, width, height)][:count]
    whole = Cell(0, 0, width, height)
    if layout == "spotlight":
        return _split(whole, count, 1 - _STRIP_SHARE)
    if layout == "side_by_side":
        return _split(whole, count, 0.5)
    return _grid(whole, count)


def _split(whole: Cell, count: int, share: float) -> list[Cell]:
    """The first picture has ``share`` of the longer side, the others stand in a row in what is left."""
    others = count - 1
    if whole.width >= whole.height:
        first = _even(whole.width * share)
        rest = Cell(first, 0, whole.width - first, whole.height)
        columns = _columns(others, rest.width / rest.height)
        return [Cell(0, 0, first, whole.height), *_rows(rest, others, columns)]
    first = _even(whole.height * share)
    rest = Cell(0, first, whole.width, whole.height - first)
    columns = _columns(others, rest.width / rest.height)
    return [Cell(0, 0, whole.width, first), *_rows(rest, others, columns)]


def _grid(whole: Cell, count: int) -> list[Cell]:
    return _rows(whole, count, _columns(count, whole.width / whole.height))


def _columns(count: int, aspect: float) -> int:
    """As many columns as make cells that are nearest to square."""

    def unlike(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(aspect * rows / columns)) + 0.25 * (columns * rows - count)

    return min(range(1, count + 1), key=unlike)


def _rows(area: Cell, count: int, columns: int) -> list[Cell]:
    rows = math.ceil(count / columns)
    width, height = _even(area.width / columns), _even(area.height / rows)
    placed: list[Cell] = []
    for row in range(rows):
        here = min(columns, count - row * columns)
        left = area.x + int((area.width - here * width) / 2) // 2 * 2
        top = area.y + row * height
        placed += [Cell(left + column * width, top, width, height) for column in range(here)]
    return placed


def _even(value: float) -> int:
    return max(2, int(value) // 2 * 2)
