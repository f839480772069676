"""Rules of accounts: ages at the edges of days and leap years, handles, markets, what it takes to go live."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import clock
from functions.accounts import markets, model
from functions.accounts.model import Account, Devices, Market

NOON_MS = 1_800_000_000_000
TODAY = date(2027, 1, 15)
DATES = st.dates(date(1890, 1, 1), date(2100, 12, 31))


def account(**changes: object) -> Account:
    made = Account(
        "a1", "ada", "Ada", date(1990, 5, 17), "US", "good", NOON_MS - 10 * model.DAY_MS, followers_counted=1000
    )
    return msgspec.structs.replace(made, **changes)


@given(birth=DATES, years=st.integers(0, 120))
def test_one_is_a_year_older_on_the_birthday_and_not_a_day_sooner(birth: date, years: int) -> None:
    try:
        birthday = birth.replace(year=birth.year + years)
    except ValueError:
        birthday = date(birth.year + years, 3, 1)
    assert model.age_years(birth, birthday) == years
    assert model.age_years(birth, birthday - timedelta(days=1)) == years - 1


@given(birth=DATES, day=DATES)
def test_age_never_falls_from_one_day_to_the_next(birth: date, day: date) -> None:
    assert model.age_years(birth, day + timedelta(days=1)) - model.age_years(birth, day) in (0, 1)


def test_a_leap_day_child_comes_of_age_on_the_first_of_march() -> None:
    assert model.age_years(date(2008, 2, 29), date(2026, 2, 28)) == 17
    assert model.age_years(date(2008, 2, 29), date(2026, 3, 1)) == 18
    assert model.age_years(date(2008, 2, 29), date(2028, 2, 29)) == 20


@pytest.mark.parametrize(
    ("birth", "fine"),
    [
        (TODAY - timedelta(days=1), True),
        (TODAY, False),
        (TODAY + timedelta(days=1), False),
        (date(1896, 1, 16), True),
        (date(1896, 1, 15), False),
    ],
)
def test_a_birth_date_is_past_and_within_a_life(birth: date, fine: bool) -> None:
    assert (model.birth_date_problem(birth, TODAY) is None) is fine


@pytest.mark.parametrize("handle", ["ada", "a.b", "a_b", "___", "0123456789abcdef_0123.56", "demo_host"])
def test_a_handle_of_the_allowed_characters_is_fine(handle: str) -> None:
    assert model.handle_problem(handle) is None


@pytest.mark.parametrize(
    "handle",
    [
        "",
        "ab",
        "a" * 25,
        "Ada",
        "ada!",
        "ádá",
        "ada lovelace",
        "ada\n",
        ".ada",
        "ada.",
        "a..b",
        "admin",
        "onair",
        "аda",
    ],
)
def test_other_handles_are_refused_with_a_reason(handle: str) -> None:
    assert model.handle_problem(handle)


@given(st.text(max_size=40))
def test_no_accepted_handle_needs_escaping_in_an_address(handle: str) -> None:
    if model.handle_problem(handle) is None:
        assert handle.isascii() and handle == handle.lower() and "/" not in handle and 3 <= len(handle) <= 24


@pytest.mark.parametrize("contact", ["ada@example.org", "a.d+a's@mail-1.example.org", "+491701234567"])
def test_an_address_and_a_number_are_contacts(contact: str) -> None:
    assert model.contact_problem(contact) is None


@pytest.mark.parametrize(
    "contact",
    [
        "", "ada", "ada@", "@b.org", "ada@localhost", "0170", "+0123456789", "a@b c.org",
        "a<ada@example.org>", "a,ada@example.org", "ada@example.org>", '"a"@example.org', "ada@exämple.org",
    ],
)  # fmt: skip
def test_anything_else_is_no_contact(contact: str) -> None:
    assert model.contact_problem(contact)


COLUMNS = {name for name in Market.__struct_fields__ if name not in ("default", "sources", "time_zone")}


def test_there_are_25_markets_and_each_column_names_its_source_and_date_or_says_default() -> None:
    rows = markets.merged("")
    assert len(rows) >= 25
    assert (rows["KR"].host_age_min, rows["KR"].gift_age_min) == (19, 19)
    assert rows["JP"].host_age_min == 20
    for code, row in rows.items():
        assert len(code) == 2 and code.isupper()
        assert set(row.sources) | set(row.default) == COLUMNS, code
        assert not set(row.sources) & set(row.default), code
        assert all(found.source and found.date < TODAY for found in row.sources.values()), code
        assert 13 <= row.sign_up_age_min <= row.host_age_min
        assert row.host_age_min >= 18 and row.gift_age_min >= 18
        assert clock.today_in(row.time_zone, NOON_MS)


def test_what_differs_by_law_is_not_called_a_default() -> None:
    rows = markets.merged("")
    assert {"sign_up_age_min", "host_age_min", "gift_age_min"} <= set(rows["KR"].sources)
    assert rows["DE"].sources["sign_up_age_min"].date == date(2018, 5, 25)


def test_an_operator_changes_one_column_of_one_market_or_of_all() -> None:
    rows = markets.merged('{"DE": {"followers_min": 5}, "*": {"account_age_days_min": 30}}')
    assert (rows["DE"].followers_min, rows["DE"].sign_up_age_min, rows["DE"].account_age_days_min) == (5, 16, 30)
    assert (rows["FR"].followers_min, rows["FR"].account_age_days_min) == (1000, 30)
    changed = markets.merged('{"KR": {"host_age_min": 20}}')["KR"]
    assert changed.host_age_min == 20 and "host_age_min" not in changed.sources


@pytest.mark.parametrize("given", ['{"DE": {"followers_min": -1}}', '{"DE": {"host_age_min": "18"}}', "[]"])
def test_a_column_of_a_wrong_type_or_out_of_bounds_is_refused(given: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        markets.merged(given)


@given(at_ms=st.integers(1_500_000_000_000, 2_500_000_000_000), code=st.sampled_from(sorted(markets.merged(""))))
def test_nobody_comes_of_age_in_a_market_before_the_day_has_begun_there(at_ms: int, code: str) -> None:
    row = markets.merged("")[code]
    today = clock.today_in(row.time_zone, at_ms)
    begins = datetime.combine(today, time(), ZoneInfo(row.time_zone))
    assert begins.timestamp() * 1000 <= at_ms
    # Born on this day n years ago: of age now, and one day earlier not yet.
    birth = date(today.year - row.host_age_min, today.month, min(today.day, 28))
    if today.day <= 28:
        assert model.age_years(birth, today) == row.host_age_min
        before = clock.today_in(row.time_zone, int(begins.timestamp() * 1000) - 1)
        assert model.age_years(birth, before) == row.host_age_min - 1


def test_a_birthday_begins_with_the_markets_own_midnight() -> None:
    # 2027-01-15 00:30 in Seoul is still the 14th in UTC and in Honolulu.
    at_ms = int(datetime(2027, 1, 14, 15, 30, tzinfo=UTC).timestamp() * 1000)
    born = date(2008, 1, 15)
    rows = markets.merged("")
    assert model.age_years(born, clock.today_in(rows["KR"].time_zone, at_ms)) == 19
    assert model.age_years(born, clock.today_in(rows["US"].time_zone, at_ms)) == 18


def test_a_deployment_replaces_and_adds_rows() -> None:
    rows = markets.merged(
        '{"US": {"followers_min": 5, "host_age_min": 18, "sign_up_age_min": 13}, "XK": '
        + ('{"followers_min": 1, "host_age_min": 18, "sign_up_age_min": 14}}')
    )
    assert rows["US"].followers_min == 5
    assert rows["XK"].sign_up_age_min == 14
    assert rows["DE"].sign_up_age_min == 16


MARKET = Market(followers_min=1000, host_age_min=18, sign_up_age_min=13)


BOTH = Devices(camera=True, microphone=True)


def unmet(one: Account, market: Market = MARKET, devices: Devices = BOTH) -> list[str]:
    found = model.requirements(one, market, devices, NOON_MS, TODAY)
    assert model.eligible(found) == (not [r for r in found if not r.met])
    return [requirement.code for requirement in found if not requirement.met]


def test_who_meets_everything_is_eligible() -> None:
    assert unmet(account()) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"followers_counted": 999}, "followers"),
        ({"birth_date": date(2009, 1, 16)}, "age"),
        ({"standing": "limited"}, "standing"),
        ({"standing": "suspended"}, "standing"),
        ({"standing": "banned"}, "standing"),
    ],
)
def test_one_unmet_requirement_is_named(changes: dict[str, object], code: str) -> None:
    assert unmet(account(**changes)) == [code]


def test_on_the_eighteenth_birthday_one_may_go_live() -> None:
    assert unmet(account(birth_date=date(2009, 1, 15))) == []


def test_an_encoder_stands_for_camera_and_microphone() -> None:
    assert unmet(account(), devices=Devices()) == ["camera", "microphone"]
    assert unmet(account(), devices=Devices(encoder=True)) == []


def test_a_market_may_ask_for_an_older_account() -> None:
    market = msgspec.structs.replace(MARKET, account_age_days_min=11)
    assert unmet(account(), market) == ["account_age"]
    assert unmet(account(created_ms=NOON_MS - 11 * model.DAY_MS), market) == []


def test_all_requirements_are_listed_when_all_are_met() -> None:
    found = model.requirements(account(), MARKET, Devices(encoder=True), NOON_MS, TODAY)
    assert [r.code for r in found] == [
        "followers",
        "age",
        "standing",
        "camera",
        "microphone",
        "account_age",
        "verified_contact",
    ]
    assert all(r.met for r in found)


def test_a_market_may_ask_for_a_verified_contact() -> None:
    market = msgspec.structs.replace(MARKET, verified_contact=True)
    assert unmet(account(), market) == ["verified_contact"]
    assert unmet(account(contact_verified=True), market) == []


STANDINGS = st.sampled_from(["good", "limited", "suspended", "banned"])


@given(
    followers=st.integers(0, 2000),
    days=st.integers(0, 60),
    birth=st.dates(date(2000, 1, 1), date(2020, 1, 1)),
    standing=STANDINGS,
    ahead_ms=st.integers(-model.DAY_MS, model.DAY_MS),
)
def test_live_access_waives_followers_and_account_age_and_nothing_else(
    followers: int, days: int, birth: date, standing: str, ahead_ms: int
) -> None:
    market = msgspec.structs.replace(MARKET, account_age_days_min=30)
    plain = account(
        followers_counted=followers, created_ms=NOON_MS - days * model.DAY_MS, birth_date=birth, standing=standing
    )
    given_access = msgspec.structs.replace(plain, live_access_until_ms=NOON_MS + ahead_ms)
    waivable = {"followers", "account_age"} if ahead_ms > 0 else set[str]()
    assert set(unmet(given_access, market)) == set(unmet(plain, market)) - waivable
    for row in model.requirements(given_access, market, BOTH, NOON_MS, TODAY):
        assert row.waived == (row.code in waivable and int(row.actual) < int(row.needed))


def test_days_old_suspended_and_banned_accounts_do_not_count_as_followers() -> None:
    old = account(created_ms=NOON_MS - model.FOLLOWER_AGE_DAYS_MIN * model.DAY_MS)
    assert model.counts_as_follower(old, NOON_MS)
    assert not model.counts_as_follower(old, NOON_MS - 1)
    assert model.counts_as_follower(msgspec.structs.replace(old, standing="limited"), NOON_MS)
    assert not model.counts_as_follower(msgspec.structs.replace(old, standing="suspended"), NOON_MS)
    assert not model.counts_as_follower(msgspec.structs.replace(old, standing="banned"), NOON_MS)
