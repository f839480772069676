"""The Rooms table for questions and polls. Each act and its event are one transaction; votes are counted in shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace
from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from functions import observe, storage, transaction
from functions.errors import OnairError
from functions.rooms.items import (
    QUESTION_PREFIX,
    ROOM,
    TALLY_PREFIX,
    VOTE_PREFIX,
    QuestionItem,
    RoomItem,
    RoomsItem,
    TallyItem,
    VoteItem,
    inbox_item,
    room_key,
)
from functions.rooms.messages import PollEvent, QuestionEvent
from functions.rooms.model import Member, Room, reaction_shard
from functions.rooms.stored import act, query
from functions.rooms.voting import QUESTIONS_OPEN_MAX, TALLY_SHARDS, Poll, Question

OPEN_QUESTIONS: Final = "questions"


class OpenQuestionsItem(RoomsItem):
    """``room#{stream}`` / ``questions``: how many wait for an answer."""

    open = NumberAttribute(default=0)


def commit_question(stream_id: str, before: Member, after: Member, question: Question, event: QuestionEvent) -> bool:
    """Record a question; False when the member acted meanwhile, ``conflict`` when too many wait."""

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.save(QuestionItem.of(stream_id, question), condition=QuestionItem.pk.does_not_exist())
            act(write, stream_id, before, after, event)
            write.update(
                OpenQuestionsItem(room_key(stream_id), OPEN_QUESTIONS),
                actions=[OpenQuestionsItem.open.add(1)],
                condition=OpenQuestionsItem.open.does_not_exist() | (OpenQuestionsItem.open < QUESTIONS_OPEN_MAX),
            )

    try:
        transaction.commit(write_all)
    except transaction.ConditionError as error:
        # Order of the request: question, event, member, count.
        if error.failed == frozenset({3}):
            raise OnairError("conflict", "Many questions wait already. Give one of them your vote.") from None
        return False
    return True


def write_answer(
    room: Room, before: Question | None, after: Question, event: QuestionEvent, hidden: QuestionEvent | None
) -> bool:
    """Change what becomes of a question; False when someone else did meanwhile.

    Parameters
    ----------
    before : Question | None
        As it was read; None for a comment that is shown for the first time.
    hidden : QuestionEvent | None
        What is shown no more because this one is.
    """
    stream_id = room.stream_id
    showing: list[Action] = []
    if after.state == "showing":
        showing = [RoomItem.showing.set(msgspec.json.encode(after).decode())]
    elif room.showing is not None and room.showing.id == after.id:
        showing = [RoomItem.showing.remove()]
    same = QuestionItem.pk.does_not_exist() if before is None else QuestionItem.state == before.state

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.save(QuestionItem.of(stream_id, after), condition=same)
            write.save(inbox_item(stream_id, event))
            if hidden is not None and room.showing is not None:
                done = replace(room.showing, state="answered", upvotes=hidden.upvotes)
                write.save(QuestionItem.of(stream_id, done))
                write.save(inbox_item(stream_id, hidden))
            if showing:
                write.update(RoomItem(room_key(stream_id), ROOM), actions=showing)
            if before is not None and before.state == "open":
                write.update(
                    OpenQuestionsItem(room_key(stream_id), OPEN_QUESTIONS), actions=[OpenQuestionsItem.open.add(-1)]
                )

    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        return False
    return True


def open_questions(stream_id: str) -> list[Question]:
    """Questions that wait or are shown."""
    rows = query(
        room_key(stream_id),
        RoomsItem.sk.startswith(QUESTION_PREFIX),
        filter_condition=QuestionItem.state.is_in("open", "showing"),
    )
    return [QuestionItem.from_raw_data(row).to_question() for row in rows]


def commit_poll(room: Room, before: Member, after: Member, poll: Poll, event: PollEvent) -> bool:
    """Begin a poll; False when the member acted, or another poll began, meanwhile."""
    item = RoomItem(room_key(room.stream_id), ROOM)
    same = RoomItem.poll.does_not_exist()
    if room.poll is not None:
        same = RoomItem.poll == msgspec.json.encode(room.poll).decode()

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            act(write, room.stream_id, before, after, event)
            write.update(item, actions=[RoomItem.poll.set(msgspec.json.encode(poll).decode())], condition=same)

    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        return False
    return True


def cast(stream_id: str, target: str, account: str, name: str, option: int = 0) -> int:
    """Count a vote, once an account and ``target`` (poll or question); answers the option that is counted.

    Parameters
    ----------
    name : str
        Under which the vote is counted (`voting.option_key`, `voting.upvote_key`).
    """
    vote = VoteItem(room_key(stream_id), f"{VOTE_PREFIX}{target}#{account}", option=option)
    shard = f"{TALLY_PREFIX}{reaction_shard(account) % TALLY_SHARDS}"

    def write_all() -> None:
        with TransactWrite(connection=storage.connection()) as write:
            write.save(vote, condition=VoteItem.pk.does_not_exist())
            write.update(TallyItem(room_key(stream_id), shard), actions=[Path([name]).add(1)])

    try:
        transaction.commit(write_all)
    except transaction.ConditionError:
        try:
            return int(VoteItem.get(vote.pk, vote.sk, consistent_read=True).option)
        except DoesNotExist:
            raise OnairError("unavailable") from None
    return option


def forget_votes(stream_id: str, names: Sequence[str]) -> None:
    """Take counters that nobody needs any more out of the shards, which are read with every frame.

    Where a vote is being counted at this moment, the counter stays: a few bytes more, and nothing wrong.
    """
    for shard in range(TALLY_SHARDS):
        try:
            TallyItem(room_key(stream_id), f"{TALLY_PREFIX}{shard}").update(
                [Path([name]).remove() for name in names], TallyItem.pk.exists()
            )
        except UpdateError as error:
            if error.cause_response_code not in ("ConditionalCheckFailedException", "TransactionConflictException"):
                raise
            observe.logger.debug("votes kept", extra={"shard": shard})
