"""HTTPS routes of payouts for creators: where to pay, what a payout brings, asking for one, what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from chalice.app import Blueprint, Response
from msgspec import UNSET, Meta, Struct, UnsetType

from functions import clock, ids, observe, parse, security, settings
from functions.accounts import markets
from functions.accounts import table as accounts
from functions.errors import OnairError
from functions.wallet import giving, payout_provider, payout_rules, payouts, sealing, tax
from functions.wallet.ledger import LedgerError
from functions.wallet.model import Wallet
from functions.wallet.payout_provider import NobodyPaysError
from functions.wallet.payout_queue import ring
from functions.wallet.payout_rules import Payout, TaxProfile
from functions.wallet.routes import tried
from functions.wallet.table import StoredLedger

routes = Blueprint(__name__)

# Where the provider leads back to: the page's own screen.
BACK: Final = "/earnings?payee=back"
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]


class PayoutRequest(Struct, frozen=True):
    """``POST /payouts``: how many diamonds; an even number, since two are a cent."""

    diamonds: Annotated[int, Meta(ge=1, le=2**53 - 1)]


class PayoutAnswer(Struct, frozen=True):
    """A payout as its creator sees it; ``step`` tells more than ``state``, which is for every client.

    Steps: ``held`` (until ``held_until``), ``review`` (a person looks at it), ``ready``, ``paying``, ``paid``,
    ``reversed`` (its diamonds came back, ``why`` tells). ``withheld_permille`` of ``usd_cents`` is withheld as tax.
    """

    id: str
    at: str
    changed_at: str
    state: Literal["reserved", "paid", "reversed"]
    step: str
    diamonds: int
    usd_cents: int
    fee_usd_cents: int
    withheld_usd_cents: int
    withheld_permille: int
    net_usd_cents: int
    country: str
    form: str
    provider: str
    held_until: str | UnsetType = UNSET
    why: str | UnsetType = UNSET
    reference: str | UnsetType = UNSET


class PayoutsPage(Struct, frozen=True):
    """``GET /payouts``, newest first."""

    items: list[PayoutAnswer]
    cursor: str | UnsetType = UNSET


class Terms(Struct, frozen=True):
    """What payouts are bound to; the same for all."""

    diamonds_min: int
    diamonds_a_cent: int
    diamonds_a_day_max: int
    payouts_a_day_max: int
    review_diamonds: int
    first_hold_days: int
    new_payee_hold_days: int
    fee_usd_cents: int


class Payee(Struct, frozen=True):
    """Where a creator is paid and taxed, as they may see it: of the identifier only its last four characters."""

    country: str
    form: str
    certified: bool
    identifier_ending: str
    withheld_permille: int
    since: str


class PayeeAnswer(Struct, frozen=True):
    """``GET /payouts/account``: who pays (or why nobody does), the payee, and whether anything is missing.

    ``needs`` are the provider's names for what it still wants. ``forms`` are the tax forms by country, ``*`` for all
    countries that are not named; ``countries`` those that diamonds are paid out to.
    """

    offered: bool
    ready: bool
    needs: list[str]
    forms: dict[str, list[str]]
    countries: list[str]
    terms: Terms
    provider: str | UnsetType = UNSET
    why: str | UnsetType = UNSET
    payee: Payee | UnsetType = UNSET


class PayeeChange(Struct, frozen=True):
    """``PUT /payouts/account``; without ``identifier`` the one that was given before stays.

    ``certified``: the creator declares that form and identifier are true and theirs.
    """

    country: Country
    form: Annotated[str, Meta(min_length=1, max_length=20)]
    certified: bool
    identifier: Annotated[str, Meta(max_length=60)] = ""


class Link(Struct, frozen=True):
    """A page of the provider; good once."""

    url: str


class QuoteQuery(Struct, frozen=True):
    """For how many diamonds."""

    diamonds: Annotated[int, Meta(ge=1, le=2**53 - 1)]


class Quote(Struct, frozen=True):
    """What a payout would bring if it were asked for now, and what would hold it up."""

    diamonds: int
    usd_cents: int
    fee_usd_cents: int
    withheld_usd_cents: int
    withheld_permille: int
    net_usd_cents: int
    review: bool
    held_until: str | UnsetType = UNSET


class YearSummary(Struct, frozen=True):
    """What was paid in a calendar year (UTC), and withheld of it; by country and form where these changed."""

    year: int
    payouts: int
    diamonds: int
    usd_cents: int
    withheld_usd_cents: int
    net_usd_cents: int
    parts: list[YearPart]


class YearPart(Struct, frozen=True):
    """The year's payouts under one country, form and rate."""

    country: str
    form: str
    withheld_permille: int
    payouts: int
    usd_cents: int
    withheld_usd_cents: int
    net_usd_cents: int


@routes.route("/payouts", methods=["GET"], authorizer=security.cognito)
def list_payouts() -> PayoutsPage:
    """One's own payouts, newest first."""
    who = parse.identity(routes.current_request)
    page = parse.query(routes.current_request, parse.Page)
    place = parse.cursor(page.cursor, 2)
    found = tried(lambda: StoredLedger().payouts(who.account))
    if place:
        if not place[0].isascii() or not place[0].isdigit() or len(place[0]) > 15:
            raise parse.refused("cursor", "This cursor is not one of ours. Start the list from the beginning.")
        found = [each for each in found if (-each.at, each.id) > (-int(place[0]), place[1])]
    shown = found[: page.limit]
    more = len(found) > page.limit
    return PayoutsPage(
        [answer(each) for each in shown],
        parse.make_cursor(str(shown[-1].at), shown[-1].id) if more else UNSET,
    )


@routes.route("/payouts", methods=["POST"], authorizer=security.cognito)
def ask() -> Response:
    """Turn diamonds into money. The same ``Idempotency-Key`` is the same payout, for ever."""
    who = parse.identity(routes.current_request)
    asked = parse.body(routes.current_request, PayoutRequest)
    key = parse.idempotency_key(routes.current_request) or ids.new()
    book = StoredLedger()
    known = tried(lambda: book.payout(who.account, payouts.payout_id(who.account, key)))
    if known is None:
        # What was asked for once is answered whatever became of account and provider since.
        _may_be_paid(who.account)
        desk = payout_provider.required()
        profile = _required_profile(book, who.account)
        _paid_there(profile.country, "not_eligible")
        status = desk.status(profile.destination)
        if not status.ready:
            raise OnairError(
                "not_eligible",
                "Give the payment provider what it still needs first.",
                field="payee",
                details={"needs": list(status.needs)},
            )
        provider = desk.name
    else:
        provider = known.provider
    payout = payouts.ask(book, who.account, asked.diamonds, key, provider=provider)
    if payout.state == "ready":
        ring(payout)
    observe.logger.info("payout asked for", payout=payout.id, diamonds=payout.diamonds, step=payout.state)
    return Response(answer(payout), status_code=201)


@routes.route("/payouts/account", methods=["GET"], authorizer=security.cognito)
def read_payee() -> PayeeAnswer:
    """Who pays here, where one is paid, and what is still missing."""
    who = parse.identity(routes.current_request)
    return _payee(tried(lambda: StoredLedger().profile(who.account)))


@routes.route("/payouts/account", methods=["PUT"], authorizer=security.cognito)
def change_payee() -> PayeeAnswer:
    """Say where to pay and how one is taxed."""
    who = parse.identity(routes.current_request)
    asked = parse.body(routes.current_request, PayeeChange)
    _paid_there(asked.country, "invalid_request")
    if asked.form not in tax.rule(asked.country).forms:
        raise OnairError(
            "invalid_request",
            "This country takes another tax form.",
            field="form",
            details={"forms": list(tax.rule(asked.country).forms)},
        )
    book = StoredLedger()
    before = tried(lambda: book.profile(who.account))
    if not asked.identifier and (before is None or before.form != asked.form):
        raise OnairError("invalid_request", "This is not a tax number that the form takes.", field="identifier")
    plain = tax.identifier(asked.form, asked.identifier) if asked.identifier else ""
    _may_be_paid(who.account)
    desk = payout_provider.required()
    if before is not None and before.country == asked.country and before.destination:
        destination, since = before.destination, before.at
    else:
        destination, since = desk.open_account(who.account, asked.country), clock.now_ms()
    sealed, ending = (before.identifier, before.ending) if before is not None and not plain else (b"", "")
    profile = TaxProfile(
        account=who.account,
        country=asked.country,
        form=asked.form,
        certified=asked.certified,
        destination=destination,
        identifier=sealing.seal(who.account, plain) if plain else sealed,
        ending=plain[-tax.ENDING_LENGTH :] if plain else ending,
        at=since,
    )
    _kept(book, profile)
    # Neither the number nor its end: logs are read by more people than answers.
    observe.logger.info("payee changed", country=profile.country, form=profile.form, certified=profile.certified)
    return _payee(profile)


@routes.route("/payouts/account/link", methods=["POST"], authorizer=security.cognito)
def open_onboarding() -> Response:
    """A page of the provider where the payee gives what it needs (identity, bank account)."""
    who = parse.identity(routes.current_request)
    _may_be_paid(who.account)
    desk = payout_provider.required()
    profile = _required_profile(StoredLedger(), who.account)
    url = desk.onboarding(profile.destination, settings.required("WEB_URL") + BACK)
    return Response(Link(url), status_code=201)


@routes.route("/payouts/quote", methods=["GET"], authorizer=security.cognito)
def quote() -> Quote:
    """What so many diamonds would bring, less what is withheld; refuses what would be refused."""
    who = parse.identity(routes.current_request)
    asked = parse.query(routes.current_request, QuoteQuery)
    book, now = StoredLedger(), clock.now_ms()
    profile = _required_profile(book, who.account)
    _paid_there(profile.country, "not_eligible")
    earlier = tried(lambda: book.payouts(who.account))
    wallet = tried(lambda: book.wallet(who.account))
    payout_rules.check_amount(asked.diamonds)
    payout_rules.check_day(earlier, asked.diamonds, now)
    payout_rules.check_wallet(wallet or Wallet(who.account), asked.diamonds)
    cents, permille = asked.diamonds // payout_rules.DIAMONDS_A_CENT, tax.permille(profile)
    withheld = payout_rules.withheld_cents(cents, permille)
    until = payout_rules.hold(earlier, profile, now)
    return Quote(
        diamonds=asked.diamonds,
        usd_cents=cents,
        fee_usd_cents=payout_rules.FEE_CENTS,
        withheld_usd_cents=withheld,
        withheld_permille=permille,
        net_usd_cents=cents - withheld - payout_rules.FEE_CENTS,
        review=asked.diamonds >= payout_rules.REVIEW_DIAMONDS,
        held_until=clock.rfc3339(until) if until else UNSET,
    )


@routes.route("/payouts/years/{year}", methods=["GET"], authorizer=security.cognito)
def read_year(year: str) -> YearSummary:
    """What was paid and withheld in a calendar year: what a creator's tax return asks for."""
    who = parse.identity(routes.current_request)
    if len(year) != 4 or not year.isascii() or not year.isdigit():
        raise parse.refused("year", "`year` takes four digits.")
    return summary(int(year), tried(lambda: StoredLedger().payouts(who.account)))


def summary(year: int, found: list[Payout]) -> YearSummary:
    """The sums of what was paid in ``year``; what a provider took back since is not in it."""
    paid = [each for each in found if each.state == "paid" and _year(each.since) == year]
    parts: dict[tuple[str, str, int], list[Payout]] = {}
    for each in paid:
        parts.setdefault((each.country, each.form, each.withheld_permille), []).append(each)
    return YearSummary(
        year=year,
        payouts=len(paid),
        diamonds=sum(each.diamonds for each in paid),
        usd_cents=sum(each.cents for each in paid),
        withheld_usd_cents=sum(each.withheld_cents for each in paid),
        net_usd_cents=sum(each.net_cents for each in paid),
        parts=[
            YearPart(
                *key,
                payouts=len(rows),
                usd_cents=sum(each.cents for each in rows),
                withheld_usd_cents=sum(each.withheld_cents for each in rows),
                net_usd_cents=sum(each.net_cents for each in rows),
            )
            for key, rows in sorted(parts.items())
        ],
    )


def answer(payout: Payout) -> PayoutAnswer:
    """What a payout's creator is told of it."""
    return PayoutAnswer(
        id=payout.id,
        at=clock.rfc3339(payout.at),
        changed_at=clock.rfc3339(payout.at if payout.state == "held" else payout.since),
        state=payout.state if payout.state in ("paid", "reversed") else "reserved",
        step=payout.state,
        diamonds=payout.diamonds,
        usd_cents=payout.cents,
        fee_usd_cents=payout_rules.FEE_CENTS,
        withheld_usd_cents=payout.withheld_cents,
        withheld_permille=payout.withheld_permille,
        net_usd_cents=payout.net_cents,
        country=payout.country,
        form=payout.form,
        provider=payout.provider,
        held_until=clock.rfc3339(payout.since) if payout.state == "held" else UNSET,
        # Of what is looked at a creator is not told why: who tests what gives alarm should learn nothing.
        why=payout.why if payout.state == "reversed" and payout.why else UNSET,
        reference=payout.reference or UNSET,
    )


def _payee(profile: TaxProfile | None) -> PayeeAnswer:
    forms = {country: list(rule.forms) for country, rule in sorted(tax.rules().items())}
    payee: Payee | UnsetType = UNSET
    if profile is not None:
        payee = Payee(
            country=profile.country,
            form=profile.form,
            certified=profile.certified,
            identifier_ending=profile.ending,
            withheld_permille=tax.permille(profile),
            since=clock.rfc3339(profile.at),
        )
    countries = sorted(markets.payout_countries())
    try:
        desk = payout_provider.desk()
    except NobodyPaysError as error:
        return PayeeAnswer(False, False, [], forms, countries, TERMS, why=error.why, payee=payee)
    if profile is None:
        return PayeeAnswer(True, False, [], forms, countries, TERMS, provider=desk.name)
    status = desk.status(profile.destination)
    needs = list(status.needs)
    return PayeeAnswer(True, status.ready, needs, forms, countries, TERMS, provider=desk.name, payee=payee)


DAY_MS: Final = payout_rules.DAY_MS
TERMS: Final = Terms(
    diamonds_min=payout_rules.DIAMONDS_MIN,
    diamonds_a_cent=payout_rules.DIAMONDS_A_CENT,
    diamonds_a_day_max=payout_rules.DIAMONDS_A_DAY_MAX,
    payouts_a_day_max=payout_rules.PAYOUTS_A_DAY_MAX,
    review_diamonds=payout_rules.REVIEW_DIAMONDS,
    first_hold_days=payout_rules.NEW_CREATOR_HOLD_MS // DAY_MS,
    new_payee_hold_days=payout_rules.NEW_DESTINATION_HOLD_MS // DAY_MS,
    fee_usd_cents=payout_rules.FEE_CENTS,
)


def _required_profile(book: StoredLedger, account: str) -> TaxProfile:
    profile = tried(lambda: book.profile(account))
    if profile is None:
        raise payouts.no_profile()
    return profile


def _paid_there(country: str, code: str) -> None:
    """Refuse a country that the markets (the column ``payout``) do not pay to: when it is named, and again before money
    is asked for, since an operator may close one between the two."""
    countries = markets.payout_countries()
    if country not in countries:
        raise OnairError(
            code,
            "Diamonds are not paid out to this country. `details.countries` lists those that are.",
            field="country",
            details={"countries": sorted(countries)},
        )


def _kept(book: StoredLedger, profile: TaxProfile) -> None:
    try:
        book.keep_profile(profile)
    except LedgerError as error:
        raise OnairError("unavailable") from error


def _may_be_paid(account_id: str) -> None:
    # A token outlives its account by up to an hour: nobody is paid, or says where, who is gone.
    account = accounts.required(account_id)
    if account.standing == "banned":
        raise OnairError("banned", "This account is banned.")
    if account.standing == "suspended":
        raise OnairError("suspended")
    if not giving.earns(account.badges):
        raise OnairError("forbidden", "This account cannot receive payouts.")


def _year(at_ms: int) -> int:
    return datetime.fromtimestamp(at_ms / 1000, UTC).year
