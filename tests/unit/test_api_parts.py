"""The API's parts on their own: parsing, cursors, messages, transactions that meet others."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynamodb.exceptions import CancellationReason, TransactWriteError, VerboseClientError

from functions import clock, messages, parse, transaction
from functions.errors import CODES, OnairError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_a_cursor_brings_back_what_was_put_in(parts: list[str]) -> None:
    cursor = parse.make_cursor(*parts)
    assert parse.cursor(cursor) == parts
    assert all(character.isalnum() or character in "-_" for character in cursor)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_as_a_cursor_and_nothing_else_happens(text: str) -> None:
    try:
        found = parse.cursor(text, parts=2)
    except OnairError as error:
        assert (error.code, error.details["field"]) == ("invalid_request", "cursor")
    else:
        assert len(found) == 2 and all(found)


@given(st.text(max_size=60), st.integers(0, 5), st.integers(5, 40))
def test_text_comes_out_composed_trimmed_and_within_its_bounds(text: str, minimum: int, maximum: int) -> None:
    import unicodedata

    try:
        found = parse.text("title", text, minimum=minimum, maximum=maximum)
    except OnairError as error:
        assert (error.code, error.details["field"]) == ("invalid_request", "title")
    else:
        assert minimum <= len(found) <= maximum
        assert found == unicodedata.normalize("NFC", found).strip()
        assert parse.text("title", found, minimum=minimum, maximum=maximum) == found
        found.encode()


def test_family_emoji_and_right_to_left_text_pass() -> None:
    for text in ("👨‍👩‍👧‍👦", "مرحبا", "नमस्ते", "한국어"):
        assert parse.text("title", text, minimum=1, maximum=20) == text


class Content(msgspec.Struct, frozen=True):
    """Something that is sent."""

    title: str
    count: int = 0


def test_a_fingerprint_tells_contents_apart_and_stays() -> None:
    assert parse.fingerprint(Content("a")) == parse.fingerprint(Content("a", 0))
    assert parse.fingerprint(Content("a")) != parse.fingerprint(Content("a", 1))
    assert parse.fingerprint(Content("a")) == "kozcpxerzfc54mmkojhoy62nr7"


@pytest.mark.parametrize("language", [one for one in messages.LANGUAGES if one != "en"])
def test_every_language_has_every_sentence(language: str) -> None:
    found, english = messages.catalogue(language), messages.catalogue("en")
    assert set(found.codes) == set(CODES)
    assert set(found.fixes) == set(english.fixes)
    assert set(found.sentences) == set(messages.catalogue("es").sentences)
    for code, sentence in found.fixes.items():
        assert fields(sentence) == fields(english.fixes[code])
    for sentence in (*found.codes.values(), *found.fixes.values(), *found.sentences.values()):
        assert sentence.strip() == sentence and len(sentence) > 5


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_translated_sentences_are_those_that_the_code_says() -> None:
    code = "".join(path.read_text() for path in Path(messages.__file__).parents[1].rglob("*.py"))
    for sentence in messages.catalogue("es").sentences:
        assert f'"{sentence}"' in code, sentence


def test_what_refuses_a_match_or_a_replay_has_every_language() -> None:
    folder = Path(messages.__file__).parents[1]
    told: set[str] = set()
    for name in ("rooms/matches.py", "rooms/match_routes.py", "streams/tickets.py"):
        tree = ast.parse((folder / name).read_text())
        refusals = [each for each in ast.walk(tree) if isinstance(each, ast.Call) and _called(each) == "OnairError"]
        constants = [each for each in ast.walk(tree) if isinstance(each, ast.AnnAssign)]
        parts = [part for each in (*refusals, *constants) for part in ast.walk(each) if isinstance(part, ast.Constant)]
        # Codes and names of fields are one word.
        told |= {part.value for part in parts if isinstance(part.value, str) and " " in part.value}
    assert "Nobody asks you for a match any more." in told and "There is no replay of this broadcast." in told
    assert told - set(messages.catalogue("es").sentences) == set()


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def test_a_special_sentence_without_translation_gives_way_to_the_general_one() -> None:
    error = OnairError("invalid_request", "`title` takes 1 to 100 characters.")
    assert messages.message(error, "en") == "`title` takes 1 to 100 characters."
    assert messages.message(error, "de") == messages.catalogue("de").codes["invalid_request"]
    ended = OnairError("not_live", "This broadcast has ended.")
    assert messages.message(ended, "de") == "Diese Sendung ist beendet."


@given(st.text(max_size=200))
def test_any_accept_language_yields_a_language_we_have(header: str) -> None:
    assert messages.language(header) in messages.LANGUAGES


class CountingClock:
    """Time that only waiting moves."""

    def __init__(self) -> None:
        self.waited_ms: list[float] = []

    def now_ms(self) -> int:
        return int(sum(self.waited_ms))

    def sleep_ms(self, duration_ms: float) -> None:
        self.waited_ms.append(duration_ms)


@pytest.fixture
def waiting() -> Iterator[CountingClock]:
    before, replacement = clock.clock, CountingClock()
    clock.use(replacement)
    yield replacement
    clock.use(before)


def cancelled(*codes: str | None) -> TransactWriteError:
    told = {"Error": {"Code": "TransactionCanceledException", "Message": "cancelled"}}
    reasons = [CancellationReason(code) if code else None for code in codes]
    return TransactWriteError("cancelled", VerboseClientError(told, "TransactWriteItems", cancellation_reasons=reasons))


def failing(*errors: Exception) -> tuple[Callable[[], None], list[Exception]]:
    left = list(errors)

    def write() -> None:
        if left:
            raise left.pop(0)

    return write, left


def test_a_conflict_is_tried_again_after_growing_pauses(waiting: CountingClock) -> None:
    write, left = failing(cancelled(None, "TransactionConflict"), cancelled("ThrottlingError", None))
    transaction.commit(write, random_unit=lambda: 1.0)
    assert left == []
    assert waiting.waited_ms == [20, 40]


def test_a_failed_condition_is_an_answer_and_not_tried_again(waiting: CountingClock) -> None:
    write, left = failing(cancelled("TransactionConflict", "ConditionalCheckFailed"), cancelled("TransactionConflict"))
    with pytest.raises(transaction.ConditionError) as raised:
        transaction.commit(write)
    assert raised.value.failed == {1}
    assert len(left) == 1 and waiting.waited_ms == []


def test_endless_conflict_ends_as_unavailable(waiting: CountingClock) -> None:
    write, left = failing(*[cancelled("TransactionConflict") for _ in range(20)])
    with pytest.raises(OnairError, match="unavailable"):
        transaction.commit(write, random_unit=lambda: 1.0)
    assert len(left) == 20 - transaction.ATTEMPTS_MAX
    assert sum(waiting.waited_ms) < 2000


def test_any_other_reason_is_a_mistake_of_ours(waiting: CountingClock) -> None:
    write, _ = failing(cancelled("ValidationError", None))
    with pytest.raises(TransactWriteError):
        transaction.commit(write)
