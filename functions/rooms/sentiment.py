"""`pulse.Sentiment` by VADER: a lexicon in the bundle, 70 µs a comment, no call to anyone. It knows English and emoji;
Amazon Comprehend can take its place for other languages behind the same protocol.

C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class VaderSentiment:
    """The lexicon is read once a container (35 ms)."""

    def __init__(self) -> None:
        from vaderSentiment.vaderSentiment import (  # pyright: ignore[reportMissingTypeStubs] it has none
            SentimentIntensityAnalyzer,
        )

        self._analyzer: Any = SentimentIntensityAnalyzer()

    def scores(self, texts: Sequence[str]) -> list[float]:
        """VADER's compound score of each text."""
        return [float(self._analyzer.polarity_scores(text)["compound"]) for text in texts]
