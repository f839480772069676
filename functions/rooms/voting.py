"""Questions and polls, pure: their records, what may be done with them, and what a frame tells of them.

Votes and upvotes are counted in shards (`tally#{n}`), like reactions; the sequencer folds what changed into a frame, so
that a thousand votes make one event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from functions import clock, ids
from functions.errors import OnairError
from functions.rooms.messages import (
    POLL_OPTIONS_MAX,
    PollEvent,
    PollMessage,
    PollState,
    QuestionEvent,
    QuestionState,
    Sender,
)
from functions.rooms.text import clean_text

OPTION_MAX: Final = 80
# Waiting at one time; the host answers or dismisses some before there are more.
QUESTIONS_OPEN_MAX: Final = 100
# A busy room's upvotes touch many questions at once: the rest has its turn in the next frame.
QUESTIONS_A_FRAME_MAX: Final = 8
# A vote is refused from the poll's end on; one that was under way by then is counted before the result is told.
RESULT_GRACE_MS: Final = 500
TALLY_SHARDS: Final = 8


class Question(Struct, frozen=True, kw_only=True):
    """A question, or a comment that is shown like one. ``upvotes`` is the count when its state last changed."""

    id: str
    sender: Sender | None
    text: str
    at_ms: int
    state: QuestionState = "open"
    upvotes: int = 0


class Poll(Struct, frozen=True, kw_only=True):
    """A poll of a room; there is one at a time."""

    id: str
    question: str
    options: tuple[str, ...]
    ends_ms: int

    def open_at(self, now_ms: int) -> bool:
        return now_ms < self.ends_ms


class Told(Struct, frozen=True, omit_defaults=True):
    """What frames have told of votes so far; each frame carries it on, so that it is told exactly once."""

    poll: str | None = None
    tallies: tuple[int, ...] = ()
    closed: str | None = None
    upvotes: dict[str, int] = field(default_factory=dict[str, int])
    milestones: dict[str, int] = field(default_factory=dict[str, int])


def poll_of(message: PollMessage, poll_id: str, now_ms: int) -> Poll:
    """The poll that a message asks for; raises ``invalid_request`` naming ``question`` or ``options[n]``."""
    options = [clean_text(text, f"options[{at}]", OPTION_MAX) for at, text in enumerate(message.options)]
    for at, option in enumerate(options):
        if option.casefold() in [other.casefold() for other in options[:at]]:
            raise OnairError("invalid_request", "Two options are the same.", field=f"options[{at}]")
    question = clean_text(message.question, "question")
    return Poll(id=poll_id, question=question, options=tuple(options), ends_ms=now_ms + message.seconds * 1000)


def option_key(poll_id: str, option: int) -> str:
    """The name under which votes for an option are counted."""
    return f"poll#{poll_id}#{option}"


def upvote_key(question_id: str) -> str:
    """The name under which upvotes are counted."""
    return f"question#{question_id}"


def option_keys(poll_id: str) -> list[str]:
    """All names that a poll may have."""
    return [option_key(poll_id, option) for option in range(POLL_OPTIONS_MAX)]


def check_vote(poll: Poll | None, poll_id: str, option: int, now_ms: int) -> Poll:
    """The poll, where this vote may be cast: raises ``not_found``, ``conflict`` (over) or ``invalid_request``."""
    if poll is None or poll.id != poll_id:
        raise OnairError("not_found", "There is no such poll, or another one has begun.")
    if not poll.open_at(now_ms):
        raise OnairError("conflict", "This poll is over.")
    if option >= len(poll.options):
        raise OnairError("invalid_request", f"`option` is 0 to {len(poll.options) - 1}.", field="option")
    return poll


def tallies_of(poll: Poll, votes: Mapping[str, int]) -> tuple[int, ...]:
    """Votes by option."""
    return tuple(votes.get(option_key(poll.id, option), 0) for option in range(len(poll.options)))


def poll_event(
    poll: Poll, tallies: tuple[int, ...], state: PollState, at_ms: int, event_id: str | None = None
) -> PollEvent:
    """A poll as an event; its id is new with each change, unless given."""
    return PollEvent(
        id=event_id or ids.derived("poll", poll.id, state, str(sum(tallies))),
        at=clock.rfc3339(at_ms),
        poll_id=poll.id,
        question=poll.question,
        options=poll.options,
        tallies=tallies,
        state=state,
        ends_at=clock.rfc3339(poll.ends_ms),
    )


def question_event(
    question: Question, upvotes: int, event_id: str, at_ms: int, client_id: str | None = None
) -> QuestionEvent:
    """A question as an event."""
    return QuestionEvent(
        id=event_id,
        at=clock.rfc3339(at_ms),
        sender=question.sender,
        client_id=client_id,
        question_id=question.id,
        text=question.text,
        upvotes=upvotes,
        state=question.state,
    )


def raised(votes: Mapping[str, int], told: Told) -> list[str]:
    """Questions whose upvotes are not what was told, a frame's worth of them."""
    prefix = upvote_key("")
    found = [
        key.removeprefix(prefix)
        for key, count in votes.items()
        if key.startswith(prefix) and count != told.upvotes.get(key.removeprefix(prefix))
    ]
    return sorted(found)[:QUESTIONS_A_FRAME_MAX]


class News(Struct, frozen=True):
    """What a frame tells of votes, and what will have been told then."""

    events: tuple[PollEvent | QuestionEvent, ...]
    told: Told
    more: bool


def news(poll: Poll | None, votes: Mapping[str, int], questions: Sequence[Question], told: Told, now_ms: int) -> News:
    """What changed since the last frame. ``questions`` are those that `raised` named, where they still exist.

    ``now_ms`` is from before ``votes`` were read.
    """
    events: list[PollEvent | QuestionEvent] = []
    tallies, closed, known = told.tallies, told.closed, told.poll
    if poll is not None and poll.id != closed:
        now = tallies_of(poll, votes)
        if known != poll.id:
            # Its own event told of it when it began, with no votes.
            known, tallies = poll.id, (0,) * len(poll.options)
        if now_ms >= poll.ends_ms + RESULT_GRACE_MS:
            events.append(poll_event(poll, now, "closed", now_ms))
            closed, tallies = poll.id, now
        elif now != tallies:
            events.append(poll_event(poll, now, "open", now_ms))
            tallies = now
    names = raised(votes, told)
    upvotes = {**told.upvotes, **{name: votes[upvote_key(name)] for name in names}}
    for question in questions:
        count = upvotes[question.id]
        if question.state in ("open", "showing"):
            events.append(question_event(question, count, ids.derived("upvotes", question.id, str(count)), now_ms))
    # What is counted no more was answered, and is forgotten.
    kept = {name: count for name, count in upvotes.items() if upvote_key(name) in votes}
    after = Told(poll=known, tallies=tallies, closed=closed, upvotes=kept, milestones=told.milestones)
    return News(tuple(events), after, len(names) == QUESTIONS_A_FRAME_MAX)
