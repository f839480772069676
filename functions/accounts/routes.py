"""HTTPS routes of one's own account: sign-up, profile, eligibility. Others': graph_routes.py."""

from __future__ import annotations

from typing import Final

import msgspec
from chalice.app import Blueprint, Response
from msgspec import UNSET
from pynamodb.expressions.update import Action

from functions import clock, ids, messages, parse
from functions.accounts import eligibility as going_live
from functions.accounts import markets, model, pool, rates, table, views
from functions.accounts.model import Account, Devices
from functions.accounts.table import ProfileItem
from functions.errors import OnairError
from functions.security import cognito

routes = Blueprint(__name__)

_DEVICES: Final = frozenset({"camera", "microphone", "encoder"})


def _checked(given: views.NewAccount) -> views.NewAccount:
    problem = model.handle_problem(given.handle)
    if problem:
        raise parse.refused("handle", problem)
    display_name = parse.text("display_name", given.display_name, minimum=1, maximum=model.DISPLAY_NAME_LENGTH_MAX)
    weak = model.password_problem(given.password)
    if weak:
        raise OnairError("invalid_request", weak, field="password", details={"reason": weak})
    contact_problem = model.contact_problem(given.contact) if given.contact is not None else None
    if contact_problem:
        raise parse.refused("contact", contact_problem)
    market, today = markets.find(given.market), markets.today(given.market)
    birth_problem = model.birth_date_problem(given.birth_date, today)
    if birth_problem:
        raise parse.refused("birth_date", birth_problem)
    if model.age_years(given.birth_date, today) < market.sign_up_age_min:
        raise OnairError(
            "age_restricted",
            f"One signs up here from the age of {market.sign_up_age_min}.",
            field="birth_date",
            details={"needed": market.sign_up_age_min},
        )
    return msgspec.structs.replace(given, display_name=display_name)


@routes.route("/accounts", methods=["POST"])
def create_account() -> Response:
    """Sign up. The same content again finishes what a crash left half done, and answers the same."""
    request = routes.current_request
    given = _checked(parse.body(request, views.NewAccount))
    key = parse.idempotency_key(request)
    # The password stays out: whoever resends has to know it, which Cognito checks.
    fingerprint = parse.fingerprint(msgspec.structs.replace(given, password=""))
    if key is not None:
        key = ids.derived(key)
        before = table.sign_up_fingerprint(key)
        if before is not None and before != fingerprint:
            raise OnairError("id_reused", field="Idempotency-Key")
    rates.take(rates.sign_up_limits(rates.address(request)))
    try:
        account_id = pool.sign_up(given.handle, given.password)
    except pool.TakenError:
        return Response(views.own(_resumed(given, key, fingerprint)), status_code=201)
    account = _new(account_id, given)
    table.create(account, key, fingerprint)
    return Response(views.own(account), status_code=201)


def _new(account_id: str, given: views.NewAccount) -> Account:
    return Account(
        id=account_id,
        handle=given.handle,
        display_name=given.display_name,
        birth_date=given.birth_date,
        market=given.market,
        standing="good",
        created_ms=clock.now_ms(),
        contact=given.contact,
    )


def _resumed(given: views.NewAccount, key: str | None, fingerprint: str) -> Account:
    taken = OnairError("conflict", "This handle is taken. Choose another.", field="handle")
    try:
        account_id = pool.owner(pool.sign_in(given.handle, given.password))
    except OnairError as error:
        if error.code == "unauthenticated":
            raise taken from None
        raise
    account = table.read(account_id)
    if account is None:
        account = _new(account_id, given)
        table.create(account, key, fingerprint)
        return account
    same = (
        account.display_name == given.display_name
        and account.birth_date == given.birth_date
        and account.market == given.market
        and account.contact == given.contact
    )
    if not same:
        raise taken
    return account


@routes.route("/me", methods=["GET"], authorizer=cognito)
def read_me() -> views.OwnAccount:
    """One's own account."""
    return views.own(table.required(parse.identity(routes.current_request).account))


@routes.route("/me", methods=["PATCH"], authorizer=cognito)
def change_me() -> views.OwnAccount:
    """Change one's display name, or who may follow one."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, views.AccountChange)
    actions: list[Action] = []
    if given.display_name is not UNSET:
        name = parse.text("display_name", given.display_name, minimum=1, maximum=model.DISPLAY_NAME_LENGTH_MAX)
        actions.append(ProfileItem.display_name.set(name))
    if given.private is not UNSET:
        actions.append(ProfileItem.private.set(given.private))
    return views.own(table.change(me.account, actions) if actions else table.required(me.account))


@routes.route("/me/eligibility", methods=["GET"], authorizer=cognito)
def read_eligibility() -> views.Eligibility:
    """What it takes to go live, all of it, met or not."""
    request = routes.current_request
    me = parse.identity(request)
    named = [name for name in parse.query(request, views.EligibilityQuery).devices.split(",") if name]
    if not _DEVICES.issuperset(named):
        raise parse.refused("devices", "`devices` lists `camera`, `microphone` or `encoder`, with commas between.")
    devices = Devices(camera="camera" in named, microphone="microphone" in named, encoder="encoder" in named)
    found = going_live.requirements(table.required(me.account), devices)
    language = messages.language(request.headers.get("accept-language"))
    return views.Eligibility(model.eligible(found), views.requirement_views(found, language))
