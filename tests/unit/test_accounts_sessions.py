"""Getting in: sign-up that only we can do, rates, contact and its code, forgotten passwords, the second step."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from functions import aws
from tests.unit.accounts_work import do_work, mail, newest_code
from tests.unit.https import PASSWORD, Client, Person

MAIL = "ada@example.org"
NEW = "Another-pass-1"


@pytest.fixture
def ada(client: Client) -> Iterator[Person]:
    aws.client("ses").verify_email_identity(EmailAddress="onair@example.org")
    yield client.sign_up("ada")


def verified(client: Client, who: Person) -> None:
    assert client.call("PUT", "/me/contact", {"contact": MAIL}, who=who).status == 202
    do_work()
    answer = client.call("POST", "/me/contact/verify", {"code": newest_code()}, who=who)
    assert (answer.body["contact"], answer.body["contact_verified"]) == (MAIL, True)


# --- contact


def test_a_contact_counts_once_its_code_was_shown(client: Client, ada: Person) -> None:
    verified(client, ada)
    assert mail()[-1].destinations["ToAddresses"] == [MAIL]
    # A code is used up.
    assert client.call("POST", "/me/contact/verify", {"code": newest_code()}, who=ada).field == "code"


def test_the_contact_before_counts_until_then(client: Client, ada: Person) -> None:
    verified(client, ada)
    client.call("PUT", "/me/contact", {"contact": "other@example.org"}, who=ada)
    do_work()
    assert client.call("GET", "/me", who=ada).body["contact"] == MAIL


def test_five_wrong_codes_use_the_right_one_up(client: Client, ada: Person) -> None:
    client.call("PUT", "/me/contact", {"contact": MAIL}, who=ada)
    do_work()
    right = newest_code()
    for n in range(5):
        wrong = f"{(int(right) + 1 + n) % 1_000_000:06d}"
        assert client.call("POST", "/me/contact/verify", {"code": wrong}, who=ada).code == "invalid_request"
    assert client.call("POST", "/me/contact/verify", {"code": right}, who=ada).code == "invalid_request"


def test_a_code_is_worth_nothing_after_ten_minutes(client: Client, ada: Person) -> None:
    client.call("PUT", "/me/contact", {"contact": MAIL}, who=ada)
    do_work()
    client.clock.offset_ms += 601_000
    assert client.call("POST", "/me/contact/verify", {"code": newest_code()}, who=ada).code == "invalid_request"


def test_three_codes_an_hour_go_to_a_person_and_a_contact(client: Client, ada: Person) -> None:
    for _ in range(3):
        assert client.call("PUT", "/me/contact", {"contact": MAIL}, who=ada).status == 202
    refused = client.call("PUT", "/me/contact", {"contact": "elsewhere@example.org"}, who=ada)
    assert refused.code == "rate_limited" and int(refused.headers["Retry-After"]) > 0
    bob = client.sign_up("bob")
    assert client.call("PUT", "/me/contact", {"contact": MAIL}, who=bob).code == "rate_limited"
    client.clock.offset_ms += 3_601_000
    assert client.call("PUT", "/me/contact", {"contact": MAIL}, who=ada).status == 202


def test_a_letter_comes_in_the_language_asked_for(client: Client, ada: Person) -> None:
    client.call("PUT", "/me/contact", {"contact": MAIL}, who=ada, headers={"Accept-Language": "de"})
    do_work()
    assert mail()[-1].subject == "Dein Onair-Code"


# --- forgotten passwords


def test_a_password_is_reset_by_the_code_and_all_sessions_end(client: Client, ada: Person) -> None:
    verified(client, ada)
    session = client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).body
    assert client.call("POST", "/password-resets", {"handle": "ada"}).status == 202
    do_work()
    change = {"handle": "ada", "code": newest_code(), "password": NEW}
    assert client.call("POST", "/password-resets/confirm", {**change, "password": "weak"}).field == "password"
    assert client.call("POST", "/password-resets/confirm", change).status == 204
    assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).code == "unauthenticated"
    assert client.call("POST", "/sessions", {"handle": "ada", "password": NEW}).status == 200
    refreshed = client.call("POST", "/sessions", {"refresh_token": session["refresh_token"]})
    assert refreshed.code == "unauthenticated"


def test_nobody_learns_whether_a_handle_exists(client: Client, ada: Person) -> None:
    there, not_there = (client.call("POST", "/password-resets", {"handle": one}) for one in ("ada", "nobody_here"))
    assert (there.status, there.body) == (not_there.status, not_there.body) == (202, {})
    do_work()
    assert mail() == []  # ada has no verified contact
    confirm = {"code": "123456", "password": NEW}
    there, not_there = (
        client.call("POST", "/password-resets/confirm", {**confirm, "handle": one}) for one in ("ada", "nobody_here")
    )
    assert (there.status, there.body) == (not_there.status, not_there.body)
    assert there.code == "invalid_request"


def test_a_password_is_changed_by_the_one_before(client: Client, ada: Person) -> None:
    wrong = client.call("PUT", "/me/password", {"password": "Not-mine-12", "new_password": NEW}, who=ada)
    assert (wrong.code, wrong.field) == ("invalid_request", "password")
    right = {"password": PASSWORD, "new_password": NEW}
    assert client.call("PUT", "/me/password", right, who=ada).status == 204
    assert client.call("POST", "/sessions", {"handle": "ada", "password": NEW}).status == 200


# --- rates


def test_ten_failures_keep_an_address_from_a_handle_for_a_while(client: Client, ada: Person) -> None:
    for _ in range(10):
        assert client.call("POST", "/sessions", {"handle": "ada", "password": "wrong"}).code == "unauthenticated"
    refused = client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD})
    assert refused.code == "rate_limited" and int(refused.headers["Retry-After"]) <= 900
    client.clock.offset_ms += 901_000
    assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).status == 200


def test_a_handle_in_capitals_is_the_same_handle(client: Client, ada: Person) -> None:
    for n in range(10):
        wrong = {"handle": ("ada", "Ada", "ADA", "aDa")[n % 4], "password": f"Wrong-pass-{n}"}
        assert client.call("POST", "/sessions", wrong).code == "unauthenticated"
    assert client.call("POST", "/sessions", {"handle": "adA", "password": PASSWORD}).code == "rate_limited"
    client.clock.offset_ms += 901_000
    assert client.call("POST", "/sessions", {"handle": "adA", "password": PASSWORD}).status == 200


def test_signing_in_well_is_never_counted(client: Client, ada: Person) -> None:
    for _ in range(12):
        assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).status == 200


def test_an_address_makes_only_so_many_accounts_an_hour(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGN_UPS_MAX", "2")
    one = {"password": PASSWORD, "display_name": "One", "birth_date": "1990-05-17", "market": "US"}
    answers = [client.call("POST", "/accounts", {**one, "handle": f"one_{n}"}) for n in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 429]


# --- the second step


def code_of(secret: str, offset_s: int = 0) -> str:
    import base64

    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    return TOTP(key, 6, SHA1(), 30, enforce_key_length=False).generate(int(time.time()) + offset_s).decode()


def with_totp(client: Client, who: Person) -> tuple[str, list[str]]:
    made = client.call("POST", "/me/totp", who=who)
    secret = made.body["secret"]
    assert made.body["uri"] == f"otpauth://totp/Onair%3Aada?secret={secret}&issuer=Onair"
    confirmed = client.call("POST", "/me/totp/confirm", {"code": code_of(secret)}, who=who)
    assert confirmed.status == 200, confirmed.body
    return secret, confirmed.body["recovery_codes"]


def test_signing_in_asks_for_a_code_once_one_was_shown(client: Client, ada: Person) -> None:
    secret, _ = with_totp(client, ada)
    assert client.call("GET", "/me", who=ada).body["totp"] is True
    way = {"handle": "ada", "password": PASSWORD}
    asked = client.call("POST", "/sessions", way)
    assert (asked.code, asked.body["error"]["details"]) == ("unauthenticated", {"needs": "code"})
    wrong = client.call("POST", "/sessions", {**way, "code": code_of(secret, 3600)})
    assert wrong.code == "unauthenticated"
    assert client.call("POST", "/sessions", {**way, "code": code_of(secret)}).status == 200


def test_a_wrong_code_does_not_begin_the_second_step(client: Client, ada: Person) -> None:
    secret = client.call("POST", "/me/totp", who=ada).body["secret"]
    wrong = client.call("POST", "/me/totp/confirm", {"code": code_of(secret, 3600)}, who=ada)
    assert (wrong.code, wrong.field) == ("invalid_request", "code")
    assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).status == 200


def test_a_token_that_was_signed_out_is_told_to_sign_in_again(client: Client, ada: Person) -> None:
    assert client.call("DELETE", "/sessions", who=ada).status == 204
    refused = client.call("POST", "/me/totp", who=ada)
    assert refused.code == "unauthenticated"
    assert "password" not in refused.body["error"]["message"]


def test_a_recovery_code_stands_once_for_the_app_and_ends_the_step(client: Client, ada: Person) -> None:
    _, recovery = with_totp(client, ada)
    way = {"handle": "ada", "password": PASSWORD}
    assert client.call("POST", "/sessions", {**way, "code": "aaaa-bbbb-cccc"}).code == "unauthenticated"
    assert client.call("POST", "/sessions", {**way, "password": NEW, "code": recovery[0]}).code == "unauthenticated"
    assert client.call("POST", "/sessions", {**way, "code": recovery[0]}).status == 200
    assert client.call("POST", "/sessions", way).status == 200
    assert client.call("GET", "/me", who=ada).body["totp"] is False


def test_the_second_step_ends_by_ones_password(client: Client, ada: Person) -> None:
    with_totp(client, ada)
    assert client.call("POST", "/me/totp/disable", {"password": "Not-mine-12"}, who=ada).field == "password"
    assert client.call("POST", "/me/totp/disable", {"password": PASSWORD}, who=ada).status == 204
    assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).status == 200
