"""Rules of streams: where the feed holds them, which report is news, and when silence ends a broadcast."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.streams import model
from functions.streams.model import Host, MediaReport, Stream

START_MS = 1_800_000_000_000
LIVE = Stream(
    id="s1",
    host=Host("a1", "ada", "Ada"),
    title="Morning",
    topics=(),
    state="live",
    audience="everyone",
    created_ms=START_MS - 1000,
    request="r",
    started_ms=START_MS,
    generation=1,
)


def stream(**changes: object) -> Stream:
    return msgspec.structs.replace(LIVE, **changes)


@pytest.mark.parametrize(
    ("state", "media", "flowed", "audience", "key"),
    [
        ("ready", "waiting", False, "everyone", None),
        ("scheduled", "waiting", False, "everyone", "upcoming"),
        ("scheduled", "waiting", False, "followers", "announced"),
        ("live", "waiting", False, "everyone", "waiting"),
        ("live", "flowing", True, "everyone", "live"),
        ("live", "flowing", True, "followers", "followers"),
        ("live", "lost", True, "everyone", "lost"),
        ("live", "waiting", True, "everyone", "lost"),
        ("ended", "flowing", True, "everyone", None),
    ],
)
def test_the_index_holds_a_stream_by_its_condition(
    state: model.State, media: model.Media, flowed: bool, audience: model.Audience, key: str | None
) -> None:
    assert model.feed_key(state, media, flowed, audience) == key


@given(
    st.sampled_from(["waiting", "flowing", "lost"]),
    st.booleans(),
    st.sampled_from(["everyone", "followers", "members"]),
)
def test_every_live_stream_stands_under_one_of_the_live_keys(
    media: model.Media, flowed: bool, to: model.Audience
) -> None:
    assert model.feed_key("live", media, flowed, to) in model.LIVE_FEED_KEYS


def report(at_ms: int, generation: int = 1) -> MediaReport:
    return MediaReport("s1", generation, "flowing", at_ms)


def test_a_report_is_news_unless_older_or_of_another_key_or_of_a_stream_that_is_not_live() -> None:
    known = stream(media_ms=START_MS + 5, media_generation=1)
    assert model.is_newer(known, report(START_MS + 6))
    assert model.is_newer(known, report(START_MS + 5))
    assert not model.is_newer(known, report(START_MS + 4))
    assert not model.is_newer(known, report(START_MS + 6, generation=0))
    assert not model.is_newer(known, report(START_MS + 6, generation=2))
    assert not model.is_newer(stream(state="ended"), report(START_MS + 6))
    assert model.is_newer(stream(), report(START_MS))


def test_the_first_report_of_a_new_key_counts_whatever_its_clock_says() -> None:
    rotated = stream(generation=2, media_generation=1, media_ms=START_MS + 900)
    assert model.is_newer(rotated, report(START_MS + 100, generation=2))


def test_a_repeat_is_news_by_when_it_was_seen() -> None:
    known = stream(media="lost", media_ms=START_MS + 60_000, media_seen_ms=START_MS + 60_000, media_generation=1)
    assert model.is_newer(known, MediaReport("s1", 1, "flowing", START_MS, seen_ms=START_MS + 60_000))
    assert not model.is_newer(known, MediaReport("s1", 1, "flowing", START_MS, seen_ms=START_MS + 59_999))


def test_a_stream_whose_relay_is_silent_for_90_seconds_counts_as_lost_since_its_last_word() -> None:
    said = {"media": "flowing", "flowed": True, "media_ms": START_MS, "media_generation": 1}
    flowing = stream(**said, media_seen_ms=START_MS + 30_000)
    assert model.unheard(flowing, START_MS + 119_999) is None
    report = model.unheard(flowing, START_MS + 120_000)
    assert report is not None
    assert (report.state, report.at_ms, report.generation) == ("lost", START_MS + 30_000, 1)
    assert model.is_newer(flowing, report)
    assert model.unheard(stream(**said), START_MS + 10**9) is None
    assert model.unheard(stream(**{**said, "media": "lost"}, media_seen_ms=START_MS), START_MS + 10**9) is None


@pytest.mark.parametrize(
    ("changes", "after_ms", "reason"),
    [
        ({}, 5 * 60_000 - 1, None),
        ({}, 5 * 60_000, "never_flowed"),
        ({"flowed": True, "media": "flowing", "media_ms": START_MS}, 9 * 3_600_000, None),
        ({"flowed": True, "media": "lost", "media_ms": START_MS}, 2 * 60_000 - 1, None),
        ({"flowed": True, "media": "lost", "media_ms": START_MS}, 2 * 60_000, "lost"),
        ({"state": "ended"}, 9 * 3_600_000, None),
        ({"state": "ready", "started_ms": None}, 9 * 3_600_000, None),
    ],
)
def test_silence_ends_a_broadcast_at_its_bound(changes: dict[str, object], after_ms: int, reason: str | None) -> None:
    assert model.silence(stream(**changes), START_MS + after_ms) == reason


@pytest.mark.parametrize(
    ("viewers", "after_ms", "why"),
    [(100, 0, "popular"), (99, 0, "just_started"), (0, 5 * 60_000 - 1, "just_started"), (0, 5 * 60_000, "live")],
)
def test_the_feed_says_why(viewers: int, after_ms: int, why: str) -> None:
    assert model.why(LIVE, viewers, START_MS + after_ms) == why


@given(st.integers(0, 10**9))
def test_a_broadcast_lasts_whole_seconds_and_never_less_than_none(length_ms: int) -> None:
    assert model.duration_s(stream(ended_ms=START_MS + length_ms)) == length_ms // 1000
    assert model.duration_s(stream(ended_ms=START_MS - length_ms)) == 0
