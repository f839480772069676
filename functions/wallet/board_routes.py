"""HTTPS routes of what gifts add up to: leaderboards, gift goals, the gallery of a creator, and months in numbers."""

from __future__ import annotations

from typing import Annotated, Final

from chalice.app import Blueprint
from msgspec import Meta, Struct
from pynamodb.exceptions import PynamoDBException

from functions import clock, ids, observe, parse, security
from functions.accounts import blocks, showing
from functions.accounts import table as accounts
from functions.errors import OnairError
from functions.rooms import moderating
from functions.rooms.messages import SettingsEvent
from functions.rooms.ring import ring
from functions.rooms.table import read_room
from functions.streams import table as streams
from functions.streams import tickets
from functions.wallet import catalogue, tally
from functions.wallet.ledger import LedgerError
from functions.wallet.table import StoredLedger
from functions.wallet.tally import DAY, GIFT, GIVER, MONTH, Row
from functions.wallet.tally_table import Goal, StoredBoards

routes = Blueprint(__name__)

BOARD_LENGTH_MAX: Final = 100
GOALS_MAX: Final = 5
# Reading counts what a crashed settler left; more than this waits for the next reader.
CATCH_UP_BATCHES: Final = 2
# Somebody may moderate the room at the same moment.
TELL_ATTEMPTS_MAX: Final = 3


class BoardQuery(Struct, frozen=True):
    """How many places (1 to 100)."""

    limit: Annotated[int, Meta(ge=1, le=BOARD_LENGTH_MAX)] = 20


class Place(Struct, frozen=True):
    """One giver on a leaderboard; those with the same coins share a rank."""

    rank: int
    id: str
    handle: str
    name: str
    coins: int
    gifts: int


class Leaderboard(Struct, frozen=True):
    """Who gave most, most first."""

    items: list[Place]


class NewGoal(Struct, frozen=True):
    """A gift that the host hopes for, and how often."""

    gift_id: str
    count: Annotated[int, Meta(ge=1, le=1_000_000)]


class Goals(Struct, frozen=True):
    """``PUT /streams/{stream_id}/goals``: replaces them all."""

    goals: Annotated[list[NewGoal], Meta(max_length=GOALS_MAX)]


class GoalProgress(Struct, frozen=True):
    """A goal and how far it is."""

    gift_id: str
    count: int
    given: int


class GoalsProgress(Struct, frozen=True):
    """A stream's goals."""

    items: list[GoalProgress]


class Received(Struct, frozen=True):
    """A gift that a creator received, how often in all, and the coins it cost."""

    gift_id: str
    count: int
    coins: int


class Gallery(Struct, frozen=True):
    """All that a creator ever received, dearest first."""

    items: list[Received]


class Month(Struct, frozen=True):
    """A creator's month (UTC): gifts, the coins they cost, diamonds earned, and diamonds put aside for payouts."""

    month: str
    gifts: int
    coins: int
    diamonds: int
    paid: int


class Months(Struct, frozen=True):
    """Months in which something moved, newest first."""

    items: list[Month]


class DaysQuery(Struct, frozen=True):
    """Which month (UTC)."""

    month: Annotated[str, Meta(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]


class Day(Struct, frozen=True):
    """A creator's day (UTC): gifts, the coins they cost, diamonds earned."""

    day: str
    gifts: int
    coins: int
    diamonds: int


class Days(Struct, frozen=True):
    """Days of a month on which something was earned, oldest first."""

    items: list[Day]


@routes.route("/streams/{stream_id}/leaderboard", methods=["GET"])
def stream_leaderboard(stream_id: str) -> Leaderboard:
    """Who gave most in a stream; open to whom its ticket would be."""
    asked = parse.query(routes.current_request, BoardQuery)
    board = tally.stream_board(_watched(stream_id), stream_id)
    me = parse.optional_identity(routes.current_request)
    hidden = blocks.hidden_from(me.account) if me is not None else frozenset[str]()
    return _places(StoredBoards().top(board, asked.limit), hidden)


@routes.route("/accounts/{handle}/leaderboard", methods=["GET"])
def week_leaderboard(handle: str) -> Leaderboard:
    """Who gave a creator most this week (ISO week, UTC); of a private account, for its followers."""
    asked = parse.query(routes.current_request, BoardQuery)
    creator, hidden = _creator(handle)
    return _places(StoredBoards().top(tally.week_board(creator, clock.now_ms()), asked.limit), hidden)


@routes.route("/accounts/{handle}/gifts", methods=["GET"])
def gallery(handle: str) -> Gallery:
    """What a creator ever received; of a private account, for its followers."""
    creator, _ = _creator(handle)
    rows = StoredBoards().rows(creator, GIFT)
    prices = catalogue.gifts()
    found = [Received(each.name.removeprefix(GIFT), each.sums.gifts, each.sums.coins) for each in rows]
    return Gallery(sorted(found, key=lambda each: -prices[each.gift_id].coins if each.gift_id in prices else 0))


@routes.route("/streams/{stream_id}/goals", methods=["GET"])
def read_goals(stream_id: str) -> GoalsProgress:
    """The stream's goals; open to whom its ticket would be."""
    return _progress(_watched(stream_id), stream_id)


@routes.route("/streams/{stream_id}/goals", methods=["PUT"], authorizer=security.cognito)
def change_goals(stream_id: str) -> GoalsProgress:
    """Set the goals of one's own stream."""
    who = parse.identity(routes.current_request)
    asked = parse.body(routes.current_request, Goals)
    stream = streams.required(stream_id)
    if stream.host.id != who.account:
        raise OnairError("forbidden")
    if len({each.gift_id for each in asked.goals}) != len(asked.goals):
        raise parse.refused("goals", "`goals` names a gift twice.")
    goals = [Goal(catalogue.gift(each.gift_id).id, each.count) for each in asked.goals]
    StoredBoards().set_goals(tally.stream_board(who.account, stream_id), goals)
    _tell_room(stream_id)
    _caught_up(who.account)
    return _progress(who.account, stream_id)


@routes.route("/wallet/months", methods=["GET"], authorizer=security.cognito)
def read_months() -> Months:
    """One's own months as a creator."""
    who = parse.identity(routes.current_request)
    _caught_up(who.account)
    rows = StoredBoards().rows(who.account, MONTH)
    return Months([_month(each) for each in reversed(rows)])


@routes.route("/wallet/days", methods=["GET"], authorizer=security.cognito)
def read_days() -> Days:
    """One's own days as a creator, within a month."""
    who = parse.identity(routes.current_request)
    asked = parse.query(routes.current_request, DaysQuery)
    _caught_up(who.account)
    rows = StoredBoards().rows(who.account, f"{DAY}{asked.month}-")
    return Days(
        [Day(each.name.removeprefix(DAY), each.sums.gifts, each.sums.coins, each.sums.diamonds) for each in rows]
    )


def _month(row: Row) -> Month:
    sums = row.sums
    return Month(row.name.removeprefix(MONTH), sums.gifts, sums.coins, sums.diamonds, sums.paid)


def _creator(handle: str) -> tuple[str, frozenset[str]]:
    me = parse.optional_identity(routes.current_request)
    account, hidden = showing.shown(handle, me.account if me else None)
    _caught_up(account.id)
    # One's own board hides from oneself like any other.
    own = me is not None and account.id == me.account
    return account.id, blocks.hidden_from(account.id) if own else hidden


def _watched(stream_id: str) -> str:
    stream = streams.required(stream_id)
    tickets.admit(stream, parse.optional_identity(routes.current_request))
    _caught_up(stream.host.id)
    return stream.host.id


def _tell_room(stream_id: str) -> None:
    # With the settings that stand, on the condition that they still do: an event must not bring old ones back.
    for _ in range(TELL_ATTEMPTS_MAX):
        room = read_room(stream_id)
        if room is None or not room.live:
            return
        event = SettingsEvent(id=ids.new(), at=clock.rfc3339(clock.now_ms()), settings=room.settings, goals=True)
        if moderating.write_room(room, room, [event]):
            ring(stream_id)
            return
    # The goals are set all the same; pages look again within half a minute.
    observe.logger.warning("goals not told", stream=stream_id)


def _caught_up(creator: str) -> None:
    try:
        tally.catch_up(StoredLedger(), StoredBoards(), creator, CATCH_UP_BATCHES)
    except (LedgerError, PynamoDBException) as error:
        # What is counted already is still worth showing.
        observe.logger.warning("boards lag", extra={"creator": creator, "error": str(error)})


def _progress(creator: str, stream_id: str) -> GoalsProgress:
    board, stored = tally.stream_board(creator, stream_id), StoredBoards()
    given = {each.name.removeprefix(GIFT): each.sums.gifts for each in stored.rows(board, GIFT)}
    return GoalsProgress(
        [GoalProgress(each.gift_id, each.count, given.get(each.gift_id, 0)) for each in stored.goals(board)]
    )


def _places(rows: list[Row], hidden: frozenset[str]) -> Leaderboard:
    people = accounts.read_many([each.name.removeprefix(GIVER) for each in rows]) if rows else {}
    places: list[Place] = []
    for at, each in enumerate(rows):
        account = people.get(each.name.removeprefix(GIVER))
        if account is None or account.id in hidden:
            continue  # gone since, or behind a block: the places of the others stay as they are
        tied = places and places[-1].coins == each.sums.coins
        rank = places[-1].rank if tied else at + 1
        places.append(Place(rank, account.id, account.handle, account.display_name, each.sums.coins, each.sums.gifts))
    return Leaderboard(places)
