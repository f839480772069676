"""Sentences for people in their language: ``messages/{language}.json`` beside this file, English in the code itself.

A catalogue has ``codes`` (error code → sentence), ``fixes`` (requirement code → sentence with ``{needed}`` and
``{actual}``) and ``sentences`` (an English sentence of the code → the same in that language).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from functions.errors import OnairError

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "es", "de", "pt", "ja", "ko")
_ACCEPTED_MAX: Final = 20


class Catalogue(msgspec.Struct, frozen=True):
    """One language's sentences."""

    codes: dict[str, str]
    fixes: dict[str, str]
    sentences: dict[str, str]


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: str) -> Catalogue:
    """The catalogue of one of `LANGUAGES`."""
    raw = (Path(__file__).parent / f"{language}.json").read_bytes()
    return msgspec.json.decode(raw, type=Catalogue)


def language(accept_language: str | None) -> str:
    """The best of `LANGUAGES` for an ``Accept-Language`` header (RFC 9110 §12.5.4); English when none fits."""
    best, best_weight = ENGLISH, 0.0
    for part in (accept_language or "").split(",")[:_ACCEPTED_MAX]:
        tag, _, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        primary = tag.strip().lower().partition("-")[0]
        if primary in LANGUAGES and weight > best_weight:
            best, best_weight = primary, weight
    return best


def message(error: OnairError, to: str) -> str:
    """The sentence for a person. A special sentence without a translation gives way to the code's general one."""
    if to == ENGLISH:
        return error.message
    found = catalogue(to)
    if error.custom_message is not None and error.custom_message in found.sentences:
        return found.sentences[error.custom_message]
    return found.codes.get(error.code, error.message)


def sentence(english: str, to: str) -> str:
    """A sentence in a language; English where it has no translation."""
    return english if to == ENGLISH else catalogue(to).sentences.get(english, english)


def fix(code: str, to: str, *, needed: str, actual: str) -> str:
    """What to do about an unmet requirement."""
    return catalogue(to).fixes[code].format(needed=needed, actual=actual)
