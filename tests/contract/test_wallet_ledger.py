"""The ledger port's contract, and gifts, purchases and settlement on it, over memory and over each service alike."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec import UNSET

from functions import clock, parse
from functions.errors import OnairError
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import GiftAnswer, RoomView
from functions.wallet import catalogue, gift_transfer, ledger, model, purchases, routes, self_limit, settle
from functions.wallet.audit import AuditedLedger, audit
from functions.wallet.giving import Giver
from functions.wallet.ledger import MovedError, Posting, TakenError
from functions.wallet.model import Wallet
from functions.wallet.purchases import PurchaseRequest, SandboxProvider, WalletAnswer

Book = AuditedLedger
SANDBOX = {"sandbox": SandboxProvider()}
VIEWER = Sender("viewer", "viewer", "Viewer")
GIVER = Giver("US", 30)


def buy(book: Book, account: str = "viewer", pack: str = "coins_7000", proof: str = "proof") -> WalletAnswer:
    return purchases.purchase(book, account, PurchaseRequest("sandbox", pack, proof), SANDBOX)


def give(book: Book, client_id: str, gift: str = "rose", count: int = 1, **other: Any) -> GiftAnswer:
    message = GiftMessage(client_id, gift, count, other.pop("combo", None))
    who = other.pop("giver", GIVER)
    place = {"stream_id": "s1", "host_id": "host", "live": True, **other}
    return gift_transfer.give(book, VIEWER, message, RoomView(**place), who, rng=random.Random(1))


def refusal(caught: pytest.ExceptionInfo[OnairError]) -> tuple[str, Any]:
    return caught.value.code, caught.value.details


def clean(book: Book) -> None:
    report = audit(book, clock.now_ms() + 60_000)
    assert report.differences == ()


# --- the port ----------------------------------------------------------------------------------------------------


def test_what_was_written_is_read_back_whole(book: Book) -> None:
    after, transfer = model.purchase(
        Wallet("a"), provider="sandbox", receipt="r", pack=catalogue.coin_pack("coins_70"), at=5
    )
    receipt = ledger.Receipt("sandbox", "r", "a", "coins_70", transfer.id)
    book.write(Posting(before=None, after=after, transfer=transfer, receipt=receipt))
    assert book.wallet("a") == after
    found = book.transfer("a", transfer.id)
    assert found is not None
    assert found.transfer == transfer
    assert found.settlement is None
    assert book.receipt("sandbox", "r") == receipt
    assert book.wallet("b") is None
    assert book.transfer("a", "other") is None
    assert book.receipt("sandbox", "other") is None


def test_a_transfer_that_exists_is_taken_whatever_else_moved(book: Book) -> None:
    buy(book)
    before = book.wallet("viewer")
    assert before is not None
    gift = catalogue.gift("rose")
    fields: dict[str, Any] = {"host": "host", "gift": gift, "count": 1, "stream": "s", "client_id": "x", "at": 9}
    after, transfer = model.give(before, event_id="e1", **fields)
    book.write(Posting(before=before, after=after, transfer=transfer, unsettled_key="creator#host#0"))
    with pytest.raises(TakenError):  # the wallet's condition fails as well
        book.write(Posting(before=before, after=after, transfer=transfer, unsettled_key="creator#host#0"))
    again, same = model.give(after, event_id="e2", **fields)
    with pytest.raises(TakenError):
        book.write(Posting(before=after, after=again, transfer=same, unsettled_key="creator#host#0"))
    assert book.wallet("viewer") == after


def test_a_wallet_that_moved_on_refuses_the_posting(book: Book) -> None:
    buy(book)
    before = book.wallet("viewer")
    give(book, "first")
    moved = book.wallet("viewer")
    assert before is not None
    after, transfer = model.give(
        before, host="h", gift=catalogue.gift("rose"), count=1, stream="s", client_id="2", event_id="e", at=9
    )
    with pytest.raises(MovedError):
        book.write(Posting(before=before, after=after, transfer=transfer))
    with pytest.raises(MovedError):  # a wallet that is there is not made anew
        book.write(Posting(before=None, after=after, transfer=transfer))
    assert book.wallet("viewer") == moved
    assert book.transfer("viewer", transfer.id) is None


def test_a_gift_is_settled_by_one_posting_only(book: Book) -> None:
    buy(book)
    give(book, "1")
    waiting = book.unsettled("host", 98)
    assert [each.id for each in waiting] == ["gift#1"]
    after, transfer = model.settle(Wallet("host"), waiting, at=9)
    book.write(Posting(before=None, after=after, transfer=transfer, settles=tuple(waiting)))
    assert book.unsettled("host", 98) == []
    more, second = model.settle(after, waiting, at=9)
    with pytest.raises(TakenError):
        book.write(Posting(before=after, after=more, transfer=second, settles=tuple(waiting)))
    assert book.wallet("host") == after
    found = book.transfer("viewer", "gift#1")
    assert found is not None
    assert found.settlement == transfer.id


def test_a_statement_lists_versions_newest_first_from_any_on(book: Book) -> None:
    buy(book)
    for n in range(5):
        give(book, f"{n}")
    versions = [each.version for each in book.statement("viewer", None, 4)]
    assert versions == [6, 5, 4, 3]
    assert [each.version for each in book.statement("viewer", 3, 10)] == [3, 2, 1]
    assert book.statement("nobody", None, 4) == []


# --- gifts -------------------------------------------------------------------------------------------------------


def test_a_gift_costs_its_price_and_tells_the_coins_left(proved_book: Book) -> None:
    buy(proved_book)
    answer = give(proved_book, "1", "heart", 3)
    assert answer.coins == 7000 - 15
    found = proved_book.transfer("viewer", "gift#1")
    assert found is not None
    assert (found.transfer.amount, found.transfer.debit, found.transfer.credit) == (15, "wallet/viewer", "creator/host")
    clean(proved_book)


def test_a_resent_gift_gets_its_first_answer_whatever_changed_since(proved_book: Book) -> None:
    buy(proved_book, pack="coins_70")
    first = give(proved_book, "1", "rose", 70)
    assert give(proved_book, "1", "rose", 70) == first
    assert give(proved_book, "1", "rose", 70, live=False) == first
    buy(proved_book, proof="more")
    assert give(proved_book, "1", "rose", 70) == first
    wallet = proved_book.wallet("viewer")
    assert wallet is not None
    assert wallet.coins == 7000
    clean(proved_book)


@pytest.mark.parametrize("other", [{"count": 2}, {"gift": "heart"}, {"stream_id": "s2"}, {"combo": "c"}])
def test_an_id_with_other_content_is_refused(proved_book: Book, other: dict[str, Any]) -> None:
    buy(proved_book)
    give(proved_book, "1")
    with pytest.raises(OnairError) as caught:
        give(proved_book, "1", **other)
    assert refusal(caught) == ("id_reused", {"field": "id"})
    wallet = proved_book.wallet("viewer")
    assert wallet is not None
    assert wallet.version == 2


@pytest.mark.parametrize(
    ("other", "code", "field"),
    [
        ({"live": False}, "not_live", None),
        ({"host_id": "viewer"}, "forbidden", None),
        ({"gifts_on": False}, "forbidden", None),
        ({"host_badges": ("verified", "politician")}, "forbidden", None),
        ({"giver": Giver("US", 17)}, "age_restricted", None),
        ({"giver": Giver("KR", 18)}, "age_restricted", None),
        ({"giver": Giver("US", 20), "gift": "champagne"}, "age_restricted", None),
        ({"giver": Giver("DE", 30), "gift": "champagne"}, "invalid_request", "gift_id"),
        ({"gift": "no_such_gift"}, "invalid_request", "gift_id"),
        ({"count": 0}, "invalid_request", "count"),
        ({"count": -1}, "invalid_request", "count"),
        ({"count": 1000}, "invalid_request", "count"),
        ({"gift": "universe"}, "insufficient_coins", None),
    ],
)
def test_a_refused_gift_changes_nothing(proved_book: Book, other: dict[str, Any], code: str, field: str | None) -> None:
    buy(proved_book)
    before = proved_book.wallet("viewer")
    with pytest.raises(OnairError) as caught:
        give(proved_book, "1", **other)
    assert caught.value.code == code
    assert field is None or caught.value.details["field"] == field
    assert proved_book.wallet("viewer") == before
    assert proved_book.transfer("viewer", "gift#1") is None


def test_without_a_wallet_there_are_no_coins(proved_book: Book) -> None:
    with pytest.raises(OnairError) as caught:
        give(proved_book, "1")
    assert caught.value.code == "insufficient_coins"
    assert proved_book.wallet("viewer") is None


def test_a_combo_counts_its_sends_and_ends_with_another(proved_book: Book) -> None:
    buy(proved_book)
    counts: list[int] = []
    for client_id, combo, count in [("1", "a", 1), ("2", "a", 2), ("2", "a", 2), ("3", "b", 1), ("4", "b", 5)]:
        give(proved_book, client_id, "rose", count, combo=combo)
        wallet = proved_book.wallet("viewer")
        assert wallet is not None
        counts.append(wallet.combo_count)
    assert counts == [1, 3, 3, 1, 6]


# --- purchases ---------------------------------------------------------------------------------------------------


def test_a_receipt_mints_its_coins_once_and_answers_the_same_for_ever(proved_book: Book) -> None:
    first = buy(proved_book)
    assert first == WalletAnswer(coins=7000, diamonds=0, version=1)
    give(proved_book, "1", "rose", 100)
    assert buy(proved_book) == first
    wallet = proved_book.wallet("viewer")
    assert wallet is not None
    assert wallet.coins == 6900
    clean(proved_book)


def test_a_receipt_of_another_account_or_pack_is_refused(proved_book: Book) -> None:
    buy(proved_book)
    for account, pack in [("other", "coins_7000"), ("viewer", "coins_70")]:
        with pytest.raises(OnairError) as caught:
            buy(proved_book, account, pack)
        assert refusal(caught) == ("conflict", {"field": "proof"})
    assert proved_book.wallet("other") is None
    clean(proved_book)


@pytest.mark.parametrize(("provider", "pack", "field"), [("apple", "coins_70", "provider"), ("sandbox", "x", "pack")])
def test_what_is_not_on_offer_is_refused(proved_book: Book, provider: str, pack: str, field: str) -> None:
    with pytest.raises(OnairError) as caught:
        purchases.purchase(proved_book, "viewer", PurchaseRequest(provider, pack, "p"), SANDBOX)
    assert refusal(caught) == ("invalid_request", {"field": field})
    assert proved_book.wallet("viewer") is None


# --- settlement --------------------------------------------------------------------------------------------------


def test_settling_credits_whole_diamonds_and_carries_the_rest(book: Book) -> None:
    buy(book)
    rng = random.Random(1)
    seen: list[tuple[int, int]] = []
    for n in range(3):
        give(book, f"{n}")
        assert settle.settle_once(book, "host", rng) == (1, 1)
        host = book.wallet("host")
        assert host is not None
        seen.append((host.diamonds, host.carried_milli))
    assert seen == [(0, 500), (1, 0), (1, 500)]
    assert settle.settle_once(book, "host", rng) == (0, 0)
    clean(book)


def test_more_gifts_than_a_transaction_takes_are_settled_in_several(book: Book) -> None:
    buy(book)
    for n in range(100):
        give(book, f"{n}", "heart")
    assert settle.settle_all(book, "host", rng=random.Random(1))
    host = book.wallet("host")
    assert host is not None
    assert (host.diamonds, host.version) == (250, 2)
    clean(book)


# --- the statement that clients page through ----------------------------------------------------------------------


def test_a_statement_pages_to_its_end_while_new_entries_come(book: Book) -> None:
    buy(book)
    for n in range(7):
        give(book, f"{n}")
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(10):
        answer = routes.statement(book, "viewer", parse.Page(cursor, 3))
        seen += [each.version for each in answer.items]
        give(book, f"later-{len(seen)}")
        if not isinstance(answer.cursor, str):
            break
        cursor = answer.cursor
    assert seen == [8, 7, 6, 5, 4, 3, 2, 1]


def test_statement_amounts_are_signed_and_lead_to_the_balance(book: Book) -> None:
    buy(book)
    give(book, "1", "heart")
    items = routes.statement(book, "viewer", parse.Page()).items
    assert [(each.amount, each.balance_after, each.unit) for each in items] == [
        (-5, 6995, "coins"),
        (7000, 7000, "coins"),
    ]
    assert items[0].previous_hash == items[1].hash


def test_a_forged_cursor_is_refused(book: Book) -> None:
    buy(book)
    for n in range(3):
        give(book, f"{n}")
    buy(book, "other", proof="theirs")
    mine = routes.statement(book, "viewer", parse.Page(None, 1)).cursor
    assert isinstance(mine, str)
    forged = [
        "nonsense!",
        parse.make_cursor("2", "0" * 64),
        parse.make_cursor("99", "0" * 64),
        parse.make_cursor("-1", ""),
        parse.make_cursor("²", ""),
        parse.make_cursor("2"),
    ]
    for cursor in forged:
        with pytest.raises(OnairError) as caught:
            routes.statement(book, "viewer", parse.Page(cursor, 2))
        assert refusal(caught) == ("invalid_request", {"field": "cursor"})
    with pytest.raises(OnairError):
        routes.statement(book, "other", parse.Page(mine, 2))


# --- limits ------------------------------------------------------------------------------------------------------


def test_a_limit_is_kept_with_the_wallet_and_holds_in_the_gifts_own_transaction(proved_book: Book) -> None:
    buy(proved_book)
    assert self_limit.set_limit(proved_book, "viewer", 10).coins_a_day == 10
    give(proved_book, "1", "rose", 6)
    with pytest.raises(OnairError) as caught:
        give(proved_book, "2", "rose", 5)
    assert caught.value.code == "limit_reached"
    give(proved_book, "3", "rose", 4)
    raised = self_limit.set_limit(proved_book, "viewer", None)
    assert (raised.coins_a_day, raised.coins_next, raised.spent_today) == (10, None, 10)
    lowered = self_limit.set_limit(proved_book, "viewer", 9)
    assert (lowered.coins_a_day, lowered.coins_next) == (9, UNSET)
    clean(proved_book)
