"""How a room feels, for its host: sentiment, pace, words and trend of the last minute. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from functions.rooms.messages import ChatEvent, Frame, Pulse

PULSE_MS: Final = 2_000
MINUTE_MS: Final = 60_000
# A room takes 300 events a second: its mood is known from far fewer.
SCORED_MAX: Final = 200
TOP_WORDS_MAX: Final = 5
# VADER's own bounds (Hutto and Gilbert 2014): a compound of 0.05 or more is positive, -0.05 or less negative.
POSITIVE_MIN: Final = 0.05

_WORD: Final = re.compile(r"[^\W\d_]{3,24}")
# What says nothing about a room in the languages that it is offered in.
_STOP_WORDS: Final = """
    the and you your are was for that this with have has had not but they she her him his its our what who how why when
    where from just like can will would could get got one all out about there here some any then than been were too very
    really que los las una por con para como pero más muy está esto este esta der die das und ist nicht ein eine mit auf
    für von dem den ich sie wir ihr auch não uma com para isso
"""
_STOP: Final = frozenset(_STOP_WORDS.split())


class Sentiment(Protocol):
    """Something that tells how texts feel, from -1 (bad) to 1 (good), in their order (sentiment.py)."""

    def scores(self, texts: Sequence[str]) -> list[float]: ...


class Minute(Struct, frozen=True):
    """One frame as the pulse needs it."""

    at_ms: int
    frame: Frame


def pulse(frames: Sequence[Minute], sentiment: Sentiment, now_ms: int) -> Pulse:
    """The pulse of a room at ``now_ms`` from its ``frames`` in order; what is older than a minute does not count."""
    recent = [one for one in frames if one.at_ms > now_ms - MINUTE_MS]
    comments = [event for one in recent for event in one.frame.events if isinstance(event, ChatEvent)]
    scores = sentiment.scores([comment.text for comment in comments[-SCORED_MAX:]])
    positive = sum(score >= POSITIVE_MIN for score in scores)
    negative = sum(score <= -POSITIVE_MIN for score in scores)
    count = len(scores) or 1
    viewers = [one.frame.viewers for one in frames]
    before = [one.frame.viewers for one in frames if one.at_ms <= now_ms - MINUTE_MS]
    return Pulse(
        sentiment=round(sum(scores) / count, 3),
        positive=round(positive / count, 3),
        negative=round(negative / count, 3),
        neutral=round((len(scores) - positive - negative) / count, 3),
        comments_per_min=len(comments),
        top_words=top_words(comments),
        viewers_trend=(viewers[-1] - (before[-1] if before else viewers[0])) if viewers else 0,
    )


def top_words(comments: Sequence[ChatEvent]) -> tuple[str, ...]:
    """The words that most people used: each counts once a member, so that nobody fills the list alone."""
    used: set[tuple[str, str]] = set()
    for comment in comments:
        who = comment.sender.id if comment.sender is not None else comment.id
        used |= {(who, word) for word in _WORD.findall(comment.text.casefold()) if word not in _STOP}
    counts = Counter(word for _, word in used)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(word for word, _ in ranked[:TOP_WORDS_MAX])
