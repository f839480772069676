"""What a comment gives away: phone numbers, addresses, links; and what only looks like it."""

from __future__ import annotations

import time

import pytest

from functions.rooms.disclosure import disclosed


@pytest.mark.parametrize(
    ("text", "market", "found"),
    [
        ("call me 030 23125000", "DE", {"phone"}),
        ("+49 170 1234567", "US", {"phone"}),
        ("(415) 555-2671 anytime", "US", {"phone"}),
        ("4 1 5 5 5 5 2 6 7 1", "US", {"phone"}),
        ("٠٣٠ ٢٣١٢٥٠٠٠", "DE", {"phone"}),
        # an area that is not assigned, or not yet
        ("call me 555-867-5309 now", "US", {"phone"}),
        ("+1 555 123 4567", "DE", {"phone"}),
        ("(555) 123-4567", "US", {"phone"}),
        ("me@example.com", "US", {"email"}),
        ("me at-sign", "US", set()),
        ("me (at) example (dot) com", "US", {"email"}),
        ("12 Baker Street", "GB", {"address"}),
        ("I live at 221b Baker St.", "GB", {"address"}),
        ("Lindenstraße 12", "DE", {"address"}),
        ("Calle Mayor 12", "ES", {"address"}),
        ("Rua das Flores, 12", "PT", {"address"}),
        ("강남대로 12", "KR", {"address"}),
        ("赤坂2丁目", "JP", {"address"}),
        ("go to example.com/x", "US", {"link"}),
        ("https://a.b", "US", {"link"}),
        ("write me@example.com or see example.org", "US", {"email", "link"}),
        # what only looks like it
        ("10 000 000 coins", "US", set()),
        ("on 2026-11-25 at 10:30", "US", set()),
        ("e.g. this costs 3.50", "US", set()),
        ("number 12 is my place, 2 days this way", "US", set()),
        ("love it!!", "US", set()),
        ("1 2 3 4 5 6 7 8 9", "US", set()),
        ("@ana see you at noon", "US", set()),
    ],
)
def test_what_a_text_gives_away(text: str, market: str, found: set[str]) -> None:
    assert disclosed(text, market) == found


@pytest.mark.parametrize(
    "text",
    ["1" * 200, "1 " * 100, "a@" * 100, "a." * 100, "1 a " * 50, "(1) " * 50, "+1" * 100, "calle " * 33, "a at " * 40],
)
def test_hostile_text_costs_milliseconds(text: str) -> None:
    disclosed(text, "DE")
    best_s = min(_seconds(text) for _ in range(5))
    assert best_s < 0.05


def _seconds(text: str) -> float:
    started = time.perf_counter()
    disclosed(text, "DE")
    return time.perf_counter() - started
