"""Words that a host does not want, found however they are disguised: case, accents, leetspeak, spacing, stretched and
look-alike letters. Pure but for two word lists that kept libraries bring, read when first needed.

Bounded whatever the text: from each place of the text one walk down a trie, at most as deep as the longest keyword; no
regular expression that could backtrack (tests/unit/test_rooms_words.py feeds it hostile text against a time limit).
Look-alikes are Unicode's (UTS #39, by `confusable_homoglyphs`), profanity is `glin_profanity`'s lists.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, cast

from msgspec import Struct

# Lists in the languages that the page speaks; more would refuse words that are plain in another language.
PROFANITY_LANGUAGES: Final = ("english", "german", "spanish", "japanese", "korean", "portuguese")
# Shorter entries of the lists ("3p", "13.") are also prices, scores and times.
PROFANITY_LETTERS_MIN: Final = 3
# A keyword of at least so many letters is also found where its parts are words of their own ("free coins" in
# "freeco ins"); a shorter one would be found in innocent neighbours ("an us citizen").
JOINED_LETTERS_MIN: Final = 5

# What stands for a letter. Letters that one sign may stand for share a class: the trie knows classes only.
_LEET: Final = {
    "a": "4@", "b": "8", "e": "3€", "g": "9", "i": "1!|", "l": "1|", "o": "0", "s": "5$", "t": "7+", "z": "2",
}  # fmt: skip
_CLASS: Final = {sign: letter for letter, signs in _LEET.items() for sign in signs} | dict.fromkeys("l1!|", "i")
# Signs between two letters of one word; with more of them it is read as a word by nobody.
SKIPPED_MAX: Final = 6
_SPACE, _MARK = 2, 1


class _Keyword(Struct, frozen=True):
    """``runs``: its signs, neighbours of one class together; ``anywhere``: its script has no spaces between words."""

    runs: tuple[str, ...]
    anywhere: bool
    spaced: bool

    @property
    def letters(self) -> int:
        return sum(map(len, self.runs))


class _Run(Struct, frozen=True):
    """Neighbouring signs of one class; ``gap`` is what stands before it, ``opens`` tells that a word may begin here."""

    sign: str
    signs: str
    gap: int
    opens: bool
    closes: bool
    word: bool


# A node: class of the next run → node; the keywords that end here are under "".
_Node = dict[str, Any]


class _Trie(Struct, frozen=True):
    """Keywords that begin where a word does, and those that may begin anywhere."""

    words: _Node
    anywhere: _Node


def plain(text: str) -> str:
    """Text without case, width, ligatures and the accents of letters that have case (NFKC, case folded)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept: list[str] = []
    cased = False
    for sign in unicodedata.normalize("NFD", folded):
        kind = unicodedata.category(sign)
        if kind == "Mn":
            # A mark on a letter without case is part of it: Japanese voicing, vowels of Hindi and Thai.
            if not cased:
                kept.append(sign)
            continue
        cased = kind == "Ll"
        kept.append(sign)
    return unicodedata.normalize("NFC", "".join(kept))


def holds(text: str, keywords: tuple[str, ...], *, profanity: bool = False) -> bool:
    """Whether a text holds one of the keywords, or of the lists of profanity.

    A keyword matches whole words, so that "ass" does not refuse "class"; one in a script without letter case (Chinese,
    Thai, Arabic) matches anywhere, since those join words or have no spaces.
    """
    if not keywords and not profanity:
        return False
    tries = [_trie(keywords)] if keywords else []
    if profanity:
        tries.append(_profanity())
    for variant in _variants(text):
        runs = _runs(variant)
        if any(_found(trie, runs) for trie in tries):
            return True
    return False


def _variants(text: str) -> Iterator[str]:
    yield plain(text)
    if not text.isascii():
        alike = _as_latin(text)
        if alike != text:
            yield plain(alike)


# --- look-alikes


@lru_cache(maxsize=1)
def _look_alikes() -> dict[str, str]:
    """Letter → the ASCII letter or digit that it looks like."""
    from confusable_homoglyphs.utils import load  # 0.9 MB: only texts beyond ASCII need it

    data: dict[str, list[dict[str, str]]] = load("confusables.json")
    found: dict[str, str] = {}
    for sign, likenesses in data.items():
        if len(sign) == 1 and not sign.isascii():
            alike = next((one["c"] for one in likenesses if len(one["c"]) == 1 and one["c"].isascii()), None)
            if alike is not None and alike.isalnum():
                found[sign] = alike
    return found


def _as_latin(text: str) -> str:
    """The text with look-alikes as ASCII, word by word: where a word mixes scripts or is all look-alikes of letters
    that have case. An honest Russian or Arabic word stays what it is."""
    table = _look_alikes()
    return " ".join(_word_as_latin(word, table) for word in unicodedata.normalize("NFKC", text).split(" "))


def _word_as_latin(word: str, table: dict[str, str]) -> str:
    letters = [sign for sign in word if sign.isalpha()]
    foreign = [sign for sign in letters if not sign.isascii()]
    mixed = len(foreign) < len(letters)
    all_alike = all(sign in table and unicodedata.category(sign) in ("Lu", "Ll") for sign in foreign)
    if not foreign or not (mixed or all_alike):
        return word
    return "".join(table.get(sign, sign) for sign in word)


# --- the trie


def _runs_of_keyword(word: str) -> tuple[str, ...]:
    runs: list[str] = []
    for sign in word:
        if sign.isspace():
            continue
        if runs and _CLASS.get(sign, sign) == _CLASS.get(runs[-1][0], runs[-1][0]):
            runs[-1] += sign
        else:
            runs.append(sign)
    return tuple(runs)


def _built(keywords: Iterable[str]) -> _Trie:
    trie = _Trie({}, {})
    for typed in keywords:
        for word in {plain(typed), *(_variants(typed))}:
            anywhere = any(unicodedata.category(sign) == "Lo" for sign in word) or not word[:1].isalnum()
            keyword = _Keyword(runs=_runs_of_keyword(word), anywhere=anywhere, spaced=" " in word)
            node = trie.anywhere if anywhere else trie.words
            for run in keyword.runs:
                node = node.setdefault(_CLASS.get(run[0], run[0]), {})
            node.setdefault("", []).append(keyword)
    return trie


@lru_cache(maxsize=64)
def _trie(keywords: tuple[str, ...]) -> _Trie:
    return _built(keywords)


@lru_cache(maxsize=1)
def _profanity() -> _Trie:
    import json
    from importlib.resources import files

    found: set[str] = set()
    for language in PROFANITY_LANGUAGES:
        path = files("glin_profanity.data") / "dictionaries" / f"{language}.json"
        found.update(cast(dict[str, list[str]], json.loads(path.read_text("utf-8")))["words"])
    # In scripts of syllables two signs are a word; in letters they are an abbreviation.
    return _built(sorted(word for word in found if len(word) >= PROFANITY_LETTERS_MIN or not word.isascii()))


# --- finding


def _runs(text: str) -> list[_Run]:
    """The text as runs of signs of one class; what is neither letter, digit nor stands for one is a gap between."""
    made: list[_Run] = []
    at, gap, size = 0, _SPACE, len(text)
    while at < size:
        sign = text[at]
        if sign.isspace() or (unicodedata.category(sign)[0] in "ZC"):
            gap, at = _SPACE, at + 1
            continue
        kind, end = _CLASS.get(sign, sign), at + 1
        while end < size and _CLASS.get(text[end], text[end]) == kind:
            end += 1
        before = text[at - 1] if at else " "
        after = text[end] if end < size else " "
        made.append(
            _Run(
                sign=kind,
                signs=text[at:end],
                gap=gap,
                opens=not before.isalnum(),
                closes=not after.isalnum(),
                word=any(one.isalnum() for one in text[at:end]),
            )
        )
        gap, at = 0, end
    return made


def _found(trie: _Trie, runs: list[_Run]) -> bool:
    words, anywhere = trie.words, trie.anywhere
    for at, run in enumerate(runs):
        if at and run.sign == runs[at - 1].sign and run.sign.isalpha() and runs[at - 1].opens:
            continue  # "a a a b": what is found from here was found from the letter before, drawn out
        if run.opens and run.sign in words and _found_from(words, runs, at):
            return True
        if run.sign in anywhere and _found_from(anywhere, runs, at):
            return True
    return False


def _found_from(root: _Node, runs: list[_Run], start: int) -> bool:
    node, gap, piece, longest, skipped = root, 0, 0, 0, 0
    signs: list[str] = []
    last = ""
    for at in range(start, len(runs)):
        run = runs[at]
        apart = run.gap if signs else 0
        if apart:
            gap, piece = max(gap, apart), 0
        if run.sign == last:
            # The same letter after a gap: still one run of the keyword ("a s s").
            signs[-1] += run.signs
        else:
            below = node.get(run.sign)
            if below is None:
                # A sign that is no letter may stand between letters ("f*u-c_k"), and ends nothing.
                skipped += 1
                if run.word or skipped > SKIPPED_MAX:
                    return False
                gap, piece = max(gap, _MARK), 0
                continue
            signs.append(run.signs)
            node, last = below, run.sign
        piece, skipped = piece + 1, 0
        longest = max(longest, piece)
        for keyword in node.get("", ()):
            if (run.closes or keyword.anywhere) and _fits(keyword, signs, gap, longest):
                return True
    return False


def _fits(keyword: _Keyword, signs: list[str], gap: int, longest: int) -> bool:
    if gap == _SPACE and longest > 1 and not keyword.spaced and keyword.letters < JOINED_LETTERS_MIN:
        return False
    return all(_same(typed, wanted) for typed, wanted in zip(signs, keyword.runs, strict=True))


def _same(typed: str, wanted: str) -> bool:
    """Whether signs of one class read as these letters, each once or (letters, not digits) drawn out."""
    states = {0} if _stands_for(typed[0], wanted[0]) else set[int]()
    for sign in typed[1:]:
        after: set[int] = set()
        for state in states:
            if wanted[state].isalpha() and _stands_for(sign, wanted[state]):
                after.add(state)
            if state + 1 < len(wanted) and _stands_for(sign, wanted[state + 1]):
                after.add(state + 1)
        states = after
    return len(wanted) - 1 in states


def _stands_for(sign: str, letter: str) -> bool:
    return sign == letter or sign in _LEET.get(letter, "")
