"""Hypothesis drives the wallet's public API: the Chalice app's routes and the gift route, over the ledger in memory.

A model of a few dozen lines says what each person should hold; the machine compares it with `GET /wallet`, with the
statement page by page, and with the audit. What was refused must have changed nothing, and whatever was answered once
is answered the same when it is sent again.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from functions import clock, observe
from functions.accounts import shut_out
from functions.accounts.model import Account
from functions.api import app
from functions.errors import OnairError
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import RoomView
from functions.wallet import board_routes, catalogue, gift_transfer, limits, routes, settle, tally
from functions.wallet.audit import audit
from functions.wallet.giving import Giver
from functions.wallet.heads import Heads
from functions.wallet.limits import COOLING_OFF_MS, DAY_MS, NEW_ACCOUNT_COINS_A_DAY, NEW_ACCOUNT_MS
from functions.wallet.model import MILLI
from tests.simulation.wallet.memory_boards import MemoryBoards
from tests.simulation.wallet.memory_ledger import MemoryLedger
from tests.unit import https

PEOPLE = ("ada", "ben", "cleo")
PACKS = ("coins_70", "coins_350", "coins_7000")
GIFTS = ("rose", "heart", "doughnut", "gem", "castle", "champagne")
HOSTS = ("ada", "host")
START_MS = 20_800 * DAY_MS + DAY_MS // 2
YOUNGEST_MS = START_MS - DAY_MS
PERSON = st.sampled_from(PEOPLE)
# What all runs together came to: a machine that never gave anything would prove nothing.
REACHED: Counter[str] = Counter()


@dataclass
class Person:
    """What the model says of one person; ``limits`` are the settings with the time from which each holds."""

    coins: int = 0
    earned: int = 0
    spent: dict[int, int] = field(default_factory=dict[int, int])
    limit: int | None = None
    next_limit: int | None = None
    next_from: int = 0
    entries: int = 0

    def limit_at(self, at: int) -> int | None:
        return self.next_limit if self.next_from and at >= self.next_from else self.limit


class Time:
    """A clock that the machine moves."""

    def __init__(self) -> None:
        self.at = START_MS

    def now_ms(self) -> int:
        return self.at

    def sleep_ms(self, duration_ms: float) -> None:
        self.at += int(duration_ms)


def _account(account_id: str) -> Account:
    return Account(account_id, account_id, account_id, date(1990, 1, 1), "US", "good", 0)


class WalletMachine(RuleBasedStateMachine):
    """People buy, give, set limits, read and send again, while a settler works."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.book, self.boards, self.time = MemoryLedger(), MemoryBoards(), Time()
        self.before = clock.clock
        clock.use(self.time)
        observe.logger.setLevel("CRITICAL")
        self.patch.setenv("SANDBOX_PURCHASES", "true")
        for module in (routes, board_routes, gift_transfer, settle):
            self.patch.setattr(module, "StoredLedger", lambda: self.book)
        self.patch.setattr(board_routes, "StoredBoards", lambda: self.boards)
        self.patch.setattr(settle, "ring_settle", lambda _: None)
        # Whether someone may act at all is read from another table: everyone here is in good standing.
        self.patch.setattr(shut_out.table, "read_profile", _account)
        self.patch.setattr(gift_transfer, "heads", Heads())
        self.people = {name: Person() for name in (*PEOPLE, "host")}
        self.bought: dict[str, tuple[str, dict[str, str], Any]] = {}
        self.given: dict[str, tuple[str, str, GiftMessage, Any]] = {}
        self.serial = 0

    def teardown(self) -> None:
        clock.use(self.before)
        self.patch.undo()
        observe.logger.setLevel("WARNING")

    # --- what people do ------------------------------------------------------------------------------------------

    @initialize()
    def everybody_starts_with_coins(self) -> None:
        for who in PEOPLE:
            for _ in range(3):  # more than a new account may give on one day
                self.buy(who, "coins_17500", keyed=False)

    @rule(who=PERSON, pack=st.sampled_from(PACKS), keyed=st.booleans())
    def buy(self, who: str, pack: str, keyed: bool) -> None:
        self.serial += 1
        body = {"provider": "sandbox", "pack": pack, "proof": f"proof-{self.serial}"}
        answer = self.call("POST", "/purchases", who, body, f"key-{self.serial}" if keyed else None)
        assert answer.status == 201, answer.body
        person = self.people[who]
        person.coins += catalogue.coin_pack(pack).coins
        person.entries += 1
        self.bought[body["proof"]] = (who, body, answer.body)

    @precondition(lambda self: self.bought)
    @rule(data=st.data(), thief=PERSON)
    def buy_again(self, data: st.DataObject, thief: str) -> None:
        who, body, first = self.bought[data.draw(st.sampled_from(sorted(self.bought)))]
        again = self.call("POST", "/purchases", thief, body)
        if thief == who:
            assert (again.status, again.body) == (201, first)
        else:
            assert again.code == "conflict"

    @rule(
        who=PERSON,
        pack=st.sampled_from(["", "coins_1", "x" * 65]),
        provider=st.sampled_from(["sandbox", "apple", "", "bank"]),
    )
    def buy_nonsense(self, who: str, pack: str, provider: str) -> None:
        answer = self.call("POST", "/purchases", who, {"provider": provider, "pack": pack, "proof": "p"})
        assert (answer.status, answer.code) == (400, "invalid_request")

    @rule(who=PERSON, host=st.sampled_from(HOSTS), gift=st.sampled_from(GIFTS[:4]), count=st.integers(1, 9))
    def give_a_little(self, who: str, host: str, gift: str, count: int) -> None:
        self.give(who, host, gift, count, "run", live=True, age=30)

    @rule(
        who=PERSON,
        host=st.sampled_from(HOSTS),
        gift=st.sampled_from(GIFTS),
        count=st.integers(1, 999) | st.sampled_from([0, -1, 1000, 2**63]),
        combo=st.sampled_from([None, "run"]),
        live=st.sampled_from([True, True, True, False]),
        age=st.sampled_from([30, 30, 30, 17, 20]),
    )
    def give(self, who: str, host: str, gift: str, count: int, combo: str | None, live: bool, age: int) -> None:
        self.serial += 1
        message = GiftMessage(f"gift-{self.serial}", gift, count, combo)
        expected = self.expected(who, host, message, live, age)
        assert self.gift(who, host, message, live, age) == expected
        REACHED["given" if isinstance(expected, int) else expected] += 1
        if isinstance(expected, int):
            person, price = self.people[who], catalogue.gift(gift).coins * count
            day = self.time.at // DAY_MS
            person.coins, person.entries = expected, person.entries + 1
            person.spent[day] = person.spent.get(day, 0) + price
            self.people[host].earned += price * 500
            self.given[message.id] = (who, host, message, expected)

    def expected(self, who: str, host: str, message: GiftMessage, live: bool, age: int) -> int | str:
        """The coins left after a gift, or the code that refuses it."""
        gift, person = catalogue.gift(message.gift_id), self.people[who]
        price = gift.coins * message.count
        if not 1 <= message.count <= 999:
            return "invalid_request"
        if not live:
            return "not_live"
        if age < max(18, gift.min_age):
            return "age_restricted"
        if who == host:
            return "forbidden"
        if person.coins < price:
            return "insufficient_coins"
        own, at = person.limit_at(self.time.at), self.time.at
        new = NEW_ACCOUNT_COINS_A_DAY if at - YOUNGEST_MS < NEW_ACCOUNT_MS else None
        bounds = [each for each in (own, new) if each is not None]
        if bounds and person.spent.get(at // DAY_MS, 0) + price > min(bounds):
            return "limit_reached"
        return person.coins - price

    @precondition(lambda self: self.given)
    @rule(data=st.data(), live=st.booleans(), other=st.booleans())
    def give_again(self, data: st.DataObject, live: bool, other: bool) -> None:
        who, host, message, first = self.given[data.draw(st.sampled_from(sorted(self.given)))]
        if other:
            message = GiftMessage(message.id, message.gift_id, message.count % 999 + 1, message.combo)
            assert self.gift(who, host, message, True, 30) == "id_reused"
            REACHED["id_reused"] += 1
        else:
            assert self.gift(who, host, message, live, 30) == first

    @rule(who=PERSON, coins=st.none() | st.integers(0, 5_000))
    def limit(self, who: str, coins: int | None) -> None:
        answer = self.call("PUT", "/wallet/limit", who, {"coins_a_day": coins})
        assert answer.status == 200, answer.body
        person, at = self.people[who], self.time.at
        now = person.limit_at(at)
        waits = person.next_from > at
        if coins == (person.next_limit if waits else now):
            return
        if now is None or (coins is not None and coins <= now):
            person.limit, person.next_limit, person.next_from = coins, None, 0
        else:
            person.limit, person.next_limit, person.next_from = now, coins, at + COOLING_OFF_MS
        person.entries += 1

    @rule(who=PERSON, coins=st.sampled_from([-1, limits.LIMIT_MAX + 1, 1.5, "10", [], True]))
    def limit_nonsense(self, who: str, coins: Any) -> None:
        answer = self.call("PUT", "/wallet/limit", who, {"coins_a_day": coins})
        assert (answer.status, answer.field) == (400, "coins_a_day")

    @rule(creator=st.sampled_from(HOSTS))
    def settle(self, creator: str) -> None:
        settle.settle_once(self.book, creator, random.Random(0))

    @rule(who=PERSON, count=st.integers(1, 3))
    def give_much(self, who: str, count: int) -> None:
        self.give(who, "host", "castle", count, None, live=True, age=30)

    @rule(who=PERSON, coins=st.integers(10, 300))
    def think_better_of_it(self, who: str, coins: int) -> None:
        """A low limit, then none, then a gift before and after the raise holds."""
        self.limit(who, coins)
        self.limit(who, None)
        self.give(who, "host", "gem", 1, None, live=True, age=30)
        self.wait(25)
        self.give(who, "host", "gem", 1, None, live=True, age=30)

    @rule(hours=st.sampled_from([0, 1, 11, 25, 200]))
    def wait(self, hours: int) -> None:
        self.time.at += hours * 3_600_000 + 1

    @rule(who=PERSON, cursor=st.text(max_size=40) | st.sampled_from(["", "AAAA", "e30", "W10"]))
    def read_with_a_forged_cursor(self, who: str, cursor: str) -> None:
        answer = self.call("GET", "/wallet/statement", who, query={"cursor": cursor})
        assert (answer.status, answer.field) == (400, "cursor")

    # --- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def everybody_holds_what_the_model_says(self) -> None:
        for name in PEOPLE:
            person, answer = self.people[name], self.call("GET", "/wallet", name)
            assert answer.body["coins"] == person.coins
            diamonds = answer.body["diamonds"] * MILLI
            assert 0 <= diamonds <= person.earned

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        report = audit(self.book, self.time.at + 1, segments=1)
        assert [each for each in report.differences if each.name != "unsettled_too_long"] == []

    @rule(who=PERSON, page=st.integers(1, 4))
    def the_statement_leads_from_nothing_to_the_balance(self, who: str, page: int) -> None:
        items: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": str(page)}
        while True:
            answer = self.call("GET", "/wallet/statement", who, query=query).body
            items += answer["items"]
            if "cursor" not in answer:
                break
            query["cursor"] = answer["cursor"]
        wallet = self.call("GET", "/wallet", who).body
        assert [each["version"] for each in items] == list(range(wallet["version"], 0, -1))
        settlements = sum(each["reason"] == "settlement" for each in items)
        assert len(items) - settlements == self.people[who].entries
        assert sum(each["amount"] for each in items if each["unit"] == "coins") == wallet["coins"]
        for newer, older in pairwise(items):
            assert newer["previous_hash"] == older["hash"]

    @rule()
    def settled_whole_everybody_earned_what_was_given_and_boards_agree(self) -> None:
        for creator in HOSTS:
            assert settle.settle_all(self.book, creator, rng=random.Random(0))
            wallet = self.book.wallets.get(creator)
            earned = 0 if wallet is None else wallet.diamonds * MILLI + wallet.carried_milli
            assert earned == self.people[creator].earned
            tally.catch_up(self.book, self.boards, creator, 100)
            ranks = self.boards.top(tally.stream_board(creator, f"stream-of-{creator}"), 10)
            given: dict[str, int] = {}
            for who, host, message, _ in self.given.values():
                if host == creator:
                    price = catalogue.gift(message.gift_id).coins * message.count
                    given[who] = given.get(who, 0) + price
            assert {each.name.removeprefix(tally.GIVER): each.sums.coins for each in ranks} == given

    # --- how it is asked -----------------------------------------------------------------------------------------

    def call(
        self, method: str, path: str, who: str, body: Any = None, key: str | None = None, query: Any = None
    ) -> https.Answer:
        event = https.rest_event(method, path, body, who=https.Person(who, who, "token"), key=key)
        event["queryStringParameters"] = query
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()} if query else None
        answer = app(event, None)
        return https.Answer(answer["statusCode"], json.loads(answer["body"]), {**answer["headers"]})

    def gift(self, who: str, host: str, message: GiftMessage, live: bool, age: int) -> int | str:
        room = RoomView(f"stream-of-{host}", host, live)
        giver = Giver("US", age, YOUNGEST_MS)
        send: Callable[..., Any] = gift_transfer.send_gift
        try:
            return int(send(Sender(who, who, who), room, message, giver).coins)
        except OnairError as error:
            return error.code


def test_the_wallets_api_agrees_with_its_model() -> None:
    REACHED.clear()
    run_state_machine_as_test(
        WalletMachine,
        settings=settings(
            max_examples=150,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    wanted = ("given", "id_reused", "insufficient_coins", "limit_reached", "forbidden", "age_restricted", "not_live")
    assert {each: REACHED[each] for each in wanted if REACHED[each] < 2} == {}
    assert REACHED["given"] > 200
