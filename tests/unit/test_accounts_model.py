"""Rules of accounts: ages at the edges of days and leap years, handles, markets, what it takes to go live."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.accounts import markets, model
from functions.accounts.model import Account, Devices, Market

NOON_MS = 1_800_000_000_000
TODAY = date(2027, 1, 15)
DATES = st.dates(date(1890, 1, 1), date(2100, 12, 31))


def account(**changes: object) -> Account:
    made = Account("a1", "ada", "Ada", date(1990, 5, 17), "US", "good", NOON_MS - 10 * model.DAY_MS, followers=1000)
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


@pytest.mark.parametrize("contact", ["ada@example.org", "+491701234567"])
def test_an_address_and_a_number_are_contacts(contact: str) -> None:
    assert model.contact_problem(contact) is None


@pytest.mark.parametrize("contact", ["", "ada", "ada@", "@b.org", "ada@localhost", "0170", "+0123456789", "a@b c.org"])
def test_anything_else_is_no_contact(contact: str) -> None:
    assert model.contact_problem(contact)


def test_there_are_ten_markets_each_with_its_source_and_a_host_no_younger_than_a_member() -> None:
    rows = markets.merged("")
    assert len(rows) >= 10
    assert rows["KR"].host_age_min == 19
    assert rows["JP"].host_age_min == 20
    for code, row in rows.items():
        assert len(code) == 2 and code.isupper()
        assert row.source
        assert 13 <= row.sign_up_age_min <= row.host_age_min
        assert row.host_age_min >= 18


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
        ({"followers": 999}, "followers"),
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
    assert [r.code for r in found] == ["followers", "age", "standing", "camera", "microphone"]
    assert all(r.met for r in found)
