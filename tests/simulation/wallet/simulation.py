"""A seeded bad day of the wallet: viewers, creators, shops and settlers over a ledger that fails in every way it may.

One run is a sequence of steps drawn from one seed. Each actor calls the very functions that the Lambdas call; between
any two calls of one, another may act, so that everything interleaves without threads. After each group the audit runs,
and what was promised to clients is compared with what the ledger holds: a gift that was answered is there once, with
one event in the room and the same answer for ever, and a receipt mints once.

``python -m tests.simulation.wallet.simulation`` runs a million operations over a thousand seeds on every core and
prints a line for each hundred seeds; ``--seed N`` replays one.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from functions import clock, observe
from functions.errors import OnairError
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import GiftAnswer, RoomView
from functions.wallet import catalogue, gift_transfer, model, purchases, settle
from functions.wallet.audit import Proof, audit
from functions.wallet.giving import Giver
from functions.wallet.heads import Heads
from functions.wallet.model import GiftDetails
from functions.wallet.purchases import PurchaseRequest, SandboxProvider, WalletAnswer
from tests.simulation.wallet.memory_ledger import CrashError, Faults, FaultyLedger, MemoryLedger

SENDERS = 6
CREATORS = 3
# Each remembers wallets as it last wrote them, so that most of what it remembers is out of date.
CONTAINERS = 3
STEPS_A_SEED = 1_000
STEPS_A_GROUP = 250
DEPTH_MAX = 3
# Prices around the rounding of a share, and one that few can pay.
GIFTS = ("rose", "heart", "kiss", "doughnut", "cake", "dragon")
GIVER = Giver("US", 30)
SANDBOX = {"sandbox": SandboxProvider()}


class SimulatedClock:
    """Time that only moves when somebody waits or a step passes; now and then it runs back a little."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._at_ms = 1_800_000_000_000.0

    def now_ms(self) -> int:
        # Containers' clocks differ: what one writes may seem to lie before what another wrote.
        return int(self._at_ms) + self._rng.randrange(-20, 21)

    def sleep_ms(self, duration_ms: float) -> None:
        self._at_ms += max(0.0, duration_ms)


@dataclass(frozen=True)
class Sent:
    """A gift message as a client keeps it to send again."""

    sender: str
    stream: str
    host: str
    message: GiftMessage


@dataclass
class Simulation:
    """One seed's world; `run` plays it."""

    seed: int
    permille: int = 500
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.ledger = MemoryLedger()
        self.book = FaultyLedger(self.ledger, self.rng, self.faults, self._somebody_else)
        self.clock = SimulatedClock(self.rng)
        self.sent: list[Sent] = []
        self.answers: dict[tuple[str, str], GiftAnswer] = {}
        self.bought: dict[str, tuple[str, str]] = {}
        self.bought_answers: dict[str, WalletAnswer] = {}
        self.outcomes: Counter[str] = Counter()
        self.containers = [Heads() for _ in range(CONTAINERS)]
        self._depth = 0
        self._serial = 0

    def run(self, steps: int = STEPS_A_SEED) -> Proof:
        """Play ``steps`` steps, checking after each group; then let everything settle and check once more."""
        before = clock.clock
        clock.use(self.clock)
        try:
            for done in range(steps):
                self._step()
                if done % STEPS_A_GROUP == STEPS_A_GROUP - 1:
                    self.check()
            return self._come_to_rest()
        finally:
            clock.use(before)

    def check(self) -> Proof:
        """Every promise and every sum, as of this moment."""
        now = self.clock.now_ms()
        # Once as of now, and once as of some moment that is over: a cut through chains that went on since.
        self._audited(now - self.rng.randrange(STEPS_A_GROUP * 200))
        proof = self._audited(now + 10_000)
        gifts = {
            place: past.transfer.details
            for place, past in self.ledger.transfers.items()
            if isinstance(past.transfer.details, GiftDetails)
        }
        events = sorted(event_id for _, event_id in self.ledger.inbox)
        assert events == sorted(each.event_id for each in gifts.values()), self._said("events and gifts differ")
        for (sender, client_id), answer in self.answers.items():
            given = gifts.get((sender, model.gift_transfer_id(client_id)))
            assert given is not None, self._said(f"answered gift {client_id} of {sender} is not there")
            assert given.event_id == answer.event_id, self._said(f"gift {client_id} changed its event")
        for bought, answer in self.bought_answers.items():
            account, pack = self.bought[bought]
            assert answer.coins >= catalogue.coin_pack(pack).coins, self._said(
                f"purchase of {account} minted too little"
            )
        minted = sum(catalogue.coin_pack(each.pack).coins for each in self.ledger.receipts.values())
        assert proof.coins_minted == minted, self._said("coins were minted beside receipts")
        return proof

    def _audited(self, as_of_ms: int) -> Proof:
        report = audit(self.ledger, as_of_ms, segments=1)
        wrong = [each for each in report.differences if each.name != "unsettled_too_long"]
        assert not wrong, self._said(f"audit: {wrong[:5]}")
        return report.proof

    def _step(self) -> None:
        self.clock.sleep_ms(self.rng.uniform(0, 400))
        act = self.rng.choices(
            (self._give, self._give_again, self._give_other, self._buy, self._buy_again, self._settle),
            (45, 12, 3, 8, 4, 28),
        )[0]
        self._depth += 1
        try:
            act()
        except CrashError:
            self.outcomes["crashed"] += 1
        except OnairError as refusal:
            self.outcomes[refusal.code] += 1
            assert refusal.code in EXPECTED, self._said(f"refused with {refusal.code}")
        finally:
            self._depth -= 1

    def _somebody_else(self) -> None:
        if self._depth < DEPTH_MAX:
            self._step()

    def _give(self) -> None:
        self._serial += 1
        host = f"creator-{self.rng.randrange(CREATORS)}"
        combo = self.rng.choice((None, "run"))
        count = self.rng.choice((1, 1, 1, 2, 3, 99))
        message = GiftMessage(f"g{self._serial}", self.rng.choice(GIFTS), count, combo)
        # Creators send gifts as well: their wallets are paid into and spent from at once.
        sender = self.rng.choice([f"viewer-{self.rng.randrange(SENDERS)}", f"creator-{self.rng.randrange(CREATORS)}"])
        if sender == host:
            return
        sent = Sent(sender, f"stream-of-{host}", host, message)
        self.sent.append(sent)
        self._send(sent)

    def _give_again(self) -> None:
        if self.sent:
            # Mostly the newest: what a client sends again is what it just sent.
            newest = max(0, len(self.sent) - self.rng.choice((1, 3, 10, 1000)))
            self._send(self.sent[self.rng.randrange(newest, len(self.sent))])

    def _give_other(self) -> None:
        answered = [each for each in self.sent[-20:] if (each.sender, each.message.id) in self.answers]
        if not answered:
            return
        sent = self.rng.choice(answered)
        other = GiftMessage(sent.message.id, sent.message.gift_id, sent.message.count + 1, sent.message.combo)
        try:
            self._call(sent, other, live=True)
        except OnairError as refusal:
            assert refusal.code in ("id_reused", "unavailable"), self._said(f"other content: {refusal.code}")
            self.outcomes["id_reused"] += 1
        else:
            raise AssertionError(self._said(f"{sent.message.id} was taken twice with different content"))

    def _send(self, sent: Sent) -> None:
        known = (sent.sender, sent.message.id) in self.answers
        try:
            answer = self._call(sent, sent.message, live=self.rng.random() < 0.95)
        except OnairError as refusal:
            assert not known or refusal.code == "unavailable", self._said(
                f"{sent.message.id} was answered, then refused"
            )
            raise
        first = self.answers.setdefault((sent.sender, sent.message.id), answer)
        assert answer == first, self._said(f"{sent.message.id} was answered twice differently")
        self.outcomes["given"] += 1

    def _call(self, sent: Sent, message: GiftMessage, *, live: bool) -> GiftAnswer:
        return gift_transfer.give(
            self.book,
            Sender(sent.sender, sent.sender, sent.sender),
            message,
            RoomView(sent.stream, sent.host, live),
            GIVER,
            permille=self.permille,
            rng=self.rng,
            new_id=self._new_id,
            heads=self.rng.choice(self.containers),
        )

    def _new_id(self) -> str:
        self._serial += 1
        return f"event-{self._serial}"

    def _buy(self) -> None:
        self._serial += 1
        account = self.rng.choice([f"viewer-{self.rng.randrange(SENDERS)}", f"creator-{self.rng.randrange(CREATORS)}"])
        proof = f"proof-{self._serial}"
        self.bought[proof] = (account, self.rng.choice(("coins_70", "coins_350", "coins_1400")))
        self._pay(proof, account)

    def _buy_again(self) -> None:
        if not self.bought:
            return
        proof = self.rng.choice(list(self.bought)[-20:])
        account = self.bought[proof][0]
        if proof in self.bought_answers and self.rng.random() < 0.3:
            try:
                self._pay(proof, "somebody-else")
            except OnairError as refusal:
                assert refusal.code in ("conflict", "unavailable"), self._said(f"stolen proof: {refusal.code}")
                return
            raise AssertionError(self._said(f"{proof} was taken from another account"))
        self._pay(proof, account)

    def _pay(self, proof: str, account: str) -> None:
        request = PurchaseRequest("sandbox", self.bought[proof][1], proof)
        answer = purchases.purchase(self.book, account, request, SANDBOX, self.rng)
        first = self.bought_answers.setdefault(proof, answer)
        assert answer == first, self._said(f"{proof} was answered twice differently")
        self.outcomes["bought"] += 1

    def _settle(self) -> None:
        settled, _ = settle.settle_once(self.book, f"creator-{self.rng.randrange(CREATORS)}", self.rng)
        self.outcomes["settled"] += settled

    def _come_to_rest(self) -> Proof:
        # The last late answers arrive; then the schedule rings until nothing waits.
        while self.book.late:
            self.book.arrive_late()
        calm = FaultyLedger(self.ledger, self.rng, Faults(0, 0, 0, 0, 0, 0, 0, 0, 0))
        for creator in range(CREATORS):
            assert settle.settle_all(calm, f"creator-{creator}", rng=self.rng), self._said("gifts stay unsettled")
        proof = self.check()
        assert proof.coins_unsettled == 0, self._said("gifts are forgotten")
        owed = sum(
            past.transfer.amount * self.permille
            for past in self.ledger.transfers.values()
            if isinstance(past.transfer.details, GiftDetails)
        )
        assert proof.diamonds_held_milli == owed, self._said("creators hold another sum than they are owed")
        return proof

    def _said(self, text: str) -> str:
        return f"seed {self.seed}: {text} (replay: python -m tests.simulation.wallet.simulation --seed {self.seed})"


EXPECTED = ("insufficient_coins", "not_live", "unavailable", "forbidden")


def permille_of(seed: int) -> int:
    """Each seed has a share of its own: even ones the usual, odd ones something that leaves remainders."""
    return 500 if seed % 2 == 0 else 1 + seed % 999


def play(seed: int, steps: int = STEPS_A_SEED) -> Simulation:
    """Run one seed whole; raises ``AssertionError`` naming it when anything is wrong."""
    simulation = Simulation(seed, permille_of(seed))
    simulation.run(steps)
    return simulation


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def played(seed: int) -> Counter[str]:
    """What happened on one seed's day; for a process of a pool."""
    observe.logger.setLevel("CRITICAL")  # a million refusals are a gigabyte of warnings
    return Counter(play(seed).book.happened)


def main() -> None:
    """Run seeds until enough operations are done, on every core, or replay one."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    if arguments.seed is not None:
        simulation = play(arguments.seed)
        say(f"{dict(simulation.outcomes)} {simulation.book.happened}")
        return
    # Nested steps count as well, beside these; each is one call of the wallet.
    seeds = range(arguments.first_seed, arguments.first_seed + -(-arguments.operations // STEPS_A_SEED))
    happened: Counter[str] = Counter()
    operations, started_s = 0, time.monotonic()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for faults in pool.map(played, seeds, chunksize=10):
            operations += STEPS_A_SEED
            happened.update(faults)
            if operations % (100 * STEPS_A_SEED) == 0:
                say(f"{operations} operations, {operations / (time.monotonic() - started_s):.0f} a second")
    taken_s = time.monotonic() - started_s
    say(
        f"{operations} operations over {len(seeds)} seeds in {taken_s:.0f} s, {operations / taken_s:.0f} a second on "
        f"{arguments.processes} processes, nothing wrong; faults: {dict(sorted(happened.items()))}"
    )


if __name__ == "__main__":
    main()
