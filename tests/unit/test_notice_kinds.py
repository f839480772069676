"""Every kind of notice: who hears of what happened, in their language, and what is decided about oneself always."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from functions import messages
from functions.accounts import notice_choice, notices
from functions.accounts.notice_choice import Kind, Preferences, Way
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.wallet import payout_notices
from functions.wallet.payout_rules import Payout, State
from tests.unit.https import Client
from tests.unit.test_notices import announce_all, inbox


@pytest.mark.parametrize("language", [one for one in messages.LANGUAGES if one != "en"])
def test_every_kind_has_its_sentence_in_every_language(language: str) -> None:
    assert {title.partition(".")[0] for title in notices.TITLES} == set(get_args(Kind))
    facts = {"name": "Ada", "gifts": "3", "diamonds": "20", "amount": "12.34"}
    for title, sentence in notices.TITLES.items():
        said = messages.sentence(sentence, language)
        assert said != sentence, (title, language)
        wanted = {value for name, value in facts.items() if f"{{{name}}}" in sentence}
        assert all(value in said.format(**facts) for value in wanted), (title, language)


def test_a_strike_a_standing_and_an_appeal_are_told_with_the_reason_whatever_one_chose(client: Client) -> None:
    anna, olga = client.sign_up("anna"), client.operator()
    notice_choice.write(anna.id, Preferences(kinds={"standing": Way(inbox=False, push=False)}))
    strike = {"rule": "spam", "reason": "the same line again"}
    entry = client.call("POST", "/operator/accounts/anna/strikes", strike, who=olga).body["id"]
    appeal = {"entry_id": entry, "text": "That was not me."}
    assert client.call("POST", "/me/standing/appeals", appeal, who=anna).status < 300
    (waiting,) = client.call("GET", "/operator/appeals", who=olga).body["items"]
    decided = {"decision": "overturned", "reason": "it was another"}
    assert client.call("PUT", f"/operator/appeals/{waiting['id']}", decided, who=olga).status == 200
    change = {"standing": "suspended", "reason": "to be looked at"}
    assert client.call("PUT", "/operator/accounts/anna/standing", change, who=olga).status == 200
    announce_all(twice=True)

    told = inbox(client, anna)

    assert [one["kind"] for one in told] == ["standing"] * 3
    assert {one["body"] for one in told} == {"the same line again", "it was another", "to be looked at"}
    assert {one["url"] for one in told} == {"/me/standing"}
    assert all(one["from"]["id"] == "" for one in told), "nobody learns which operator decided"
    assert any("suspended" in one["title"] for one in told)


def test_whoever_reported_hears_the_outcome_and_the_reported_does_not(client: Client) -> None:
    bad, olga = client.sign_up("bad_one"), client.operator()
    reporters = [client.sign_up("anna"), client.sign_up("ben")]
    for one in reporters:
        report = {"reason": "spam", "text": "He sells things"}
        assert client.call("POST", "/accounts/bad_one/report", report, who=one).status == 202
    (case,) = client.call("GET", "/operator/reports", who=olga).body["items"]
    taken = {"state": "taken", "reason": "looking"}
    client.call("PUT", f"/operator/reports/{case['id']}", taken, who=olga)
    assert announce_all() == 0
    client.call("PUT", f"/operator/reports/{case['id']}", {"state": "acted", "reason": "seen"}, who=olga)
    announce_all(twice=True)

    for one in reporters:
        (told,) = inbox(client, one, "es")
        assert (told["kind"], told["title"]) == ("report", "Hemos actuado tras tu denuncia")
        assert "seen" not in str(told), "an operator's reason is about somebody else"
    assert inbox(client, bad) == []


def test_what_one_wrote_in_a_report_is_in_ones_export(client: Client) -> None:
    anna = client.sign_up("anna")
    client.sign_up("bad_one")
    client.call("POST", "/accounts/bad_one/report", {"reason": "spam", "text": "He sells things"}, who=anna)

    held: list[Any] = client.call("GET", "/me/export?limit=100", who=anna).body["items"]

    (filed,) = [one for one in held if one["key"].startswith("filed#")]
    assert (filed["content"]["reason"], filed["content"]["text"]) == ("spam", "He sells things")


def payout(account: str, state: State) -> Payout:
    return Payout(account, "p1", 1, 2_500, 1_250, 16, "US", "W-9", "acct", "sandbox", state, 1_800_000_000_000)


def test_a_payout_that_came_to_an_end_is_told_also_to_who_is_suspended(client: Client) -> None:
    anna = client.sign_up("anna")
    ProfileItem(account_key(anna.id), PROFILE).update([ProfileItem.standing.set("suspended")])
    for state in ("held", "ready", "review"):
        payout_notices.tell(payout(anna.id, state))
    assert announce_all() == 0
    for _ in range(2):
        payout_notices.tell(payout(anna.id, "paid"))
        announce_all()

    (told,) = inbox(client, anna)

    assert (told["kind"], told["url"]) == ("payout", "/earnings")
    assert told["title"] == "Your payout of $12.34 is on its way"


def test_who_is_shut_out_hears_of_nothing_else(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    client.call("PUT", f"/accounts/{host.handle}/follow", who=fan)
    ProfileItem(account_key(fan.id), PROFILE).update([ProfileItem.standing.set("suspended")])
    from functions.accounts import telling
    from functions.accounts.notices import Notice

    telling.order(Notice("seat", 1_800_000_000_000, "s1", "seat.1", host.id, host.handle, "Host"), [fan.id])
    announce_all()

    assert inbox(client, fan) == []
