"""What does a comment's filter cost? 200 keywords and the profanity lists against hostile text of 200 characters."""

from __future__ import annotations

import statistics
import time

import msgspec

from functions.rooms.disclosure import disclosed
from functions.rooms.words import holds

RUNS = 200
LIMIT_US = 10_000
# Keywords that begin like each other and like the texts: the deepest walks there are.
KEYWORDS = (
    *("a" * size + "b" for size in range(1, 40)),
    *(("ab" * 20)[:size] + "x" for size in range(1, 40)),
    *(f"word{number}" for number in range(122)),
)
TEXTS = {
    "a plain comment of 60 characters": "this is the best broadcast that I have seen all week, thanks!",
    "one letter, 200 times": "a" * 200,
    "letters apart": "a " * 100,
    "signs that stand for letters": "!@" * 100,
    "look-alikes of two scripts": "аb" * 100,
    "digits": "1 " * 100,
    "dots": "a." * 100,
}


def _median_us(work: object, text: str) -> float:
    assert callable(work)
    work(text)
    times: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work(text)
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


def main() -> None:
    """Print the table; the peer is what each comment pays anyway, encoding its event as JSON."""
    event = {"id": "x" * 26, "text": "a" * 200, "from": {"id": "y" * 36, "handle": "h" * 20}}
    peer = _median_us(lambda _: msgspec.json.encode(event), "")
    print(f"{len(KEYWORDS)} keywords, medians of {RUNS} runs; encoding the comment's event takes {peer:.1f} µs here.\n")
    print("| text | words, µs | phone, e-mail, address, link, µs | limit, µs |")
    print("|---|---|---|---|")
    for name, text in TEXTS.items():
        words = _median_us(lambda given: holds(given, KEYWORDS, profanity=True), text)
        given_away = _median_us(lambda given: disclosed(given, "DE"), text)
        print(f"| {name} | {words:.0f} | {given_away:.0f} | {LIMIT_US} |")


if __name__ == "__main__":
    main()
