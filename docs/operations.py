"""What each HTTPS route takes, gives and refuses: the part of docs/openapi.json that the app's routes do not tell.

tests/unit/test_api_documents.py fails for a route without a row and for a row without a route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.accounts import data_routes, devices, notice_choice, notices, pictures, standing_views, trail
from functions.accounts import report_routes as reports
from functions.accounts import views as accounts
from functions.parse import Page
from functions.rooms import views as rooms
from functions.rooms.messages import FramesPage, MatchView
from functions.streams import share_routes, shares
from functions.streams import views as streams
from functions.streams.model import Summary
from functions.wallet import board_routes as boards
from functions.wallet import export, payout_review, prove, provider, purchases, self_limit
from functions.wallet import payout_routes as payouts
from functions.wallet import routes as wallet


@dataclass(frozen=True)
class Operation:
    """One route: types of body, query and answer; its codes beyond those that every route may answer.

    ``page``: answers HTML, for people. ``optional_token``: open, and a token that is sent must be good.
    ``repeatable``: takes ``Idempotency-Key``. ``csv``: answers a table instead where it is asked for one.
    """

    answer: type | None = None
    status: int = 200
    body: type | None = None
    query: type | None = None
    refusals: tuple[str, ...] = ()
    optional_token: bool = False
    repeatable: bool = False
    page: bool = False
    csv: bool = False


WATCHING = ("unauthenticated", "suspended", "banned", "blocked", "age_restricted", "followers_only")
OWN = ("not_found", "forbidden")
# Of each route below /operator/; whoever is no operator is refused as `forbidden`.
OPERATING = ("invalid_request", "forbidden")
GRAPH = Operation(status=204, refusals=("invalid_request", "not_found"))
LISTED = Operation(accounts.Profiles, query=Page, refusals=("invalid_request", "not_found", "blocked", "forbidden"))
MATCHED = (*OWN, "not_live")
SEATED = ("not_found", "not_live", *WATCHING[1:])
FEED = Operation(streams.Streams, query=Page, refusals=("invalid_request",))

OPERATIONS: Mapping[str, Operation] = {
    "POST /accounts": Operation(
        accounts.OwnAccount,
        201,
        accounts.NewAccount,
        refusals=("invalid_request", "age_restricted", "conflict", "id_reused", "too_large", "rate_limited"),
        repeatable=True,
    ),
    "POST /sessions": Operation(
        accounts.Session,
        body=accounts.SignIn,
        refusals=("invalid_request", "unauthenticated", "too_large", "rate_limited"),
    ),
    "DELETE /sessions": Operation(status=204, refusals=("rate_limited",)),
    "PUT /me/contact": Operation(
        status=202, body=accounts.Contact, refusals=("invalid_request", "too_large", "rate_limited")
    ),
    "POST /me/contact/verify": Operation(
        accounts.OwnAccount, body=accounts.ShownCode, refusals=("invalid_request", "too_large")
    ),
    "POST /password-resets": Operation(
        status=202, body=accounts.Reset, refusals=("invalid_request", "too_large", "rate_limited")
    ),
    "POST /password-resets/confirm": Operation(
        status=204, body=accounts.NewPassword, refusals=("invalid_request", "too_large", "rate_limited")
    ),
    "PUT /me/password": Operation(
        status=204, body=accounts.PasswordChange, refusals=("invalid_request", "too_large", "rate_limited")
    ),
    "POST /me/totp": Operation(accounts.TotpSecret, refusals=("rate_limited",)),
    "POST /me/totp/confirm": Operation(
        accounts.RecoveryCodes, body=accounts.ShownCode, refusals=("invalid_request", "too_large", "rate_limited")
    ),
    "POST /me/totp/disable": Operation(
        status=204, body=accounts.OwnPassword, refusals=("invalid_request", "too_large", "rate_limited")
    ),
    "GET /me/export": Operation(data_routes.AccountExport, query=Page, refusals=("invalid_request",)),
    "DELETE /me": Operation(status=202, refusals=("rate_limited",)),
    "POST /me/avatar": Operation(pictures.Upload, 201),
    "GET /me/avatar": Operation(pictures.Picture),
    "DELETE /me/avatar": Operation(status=204),
    "POST /streams/{stream_id}/cover": Operation(pictures.Upload, 201, refusals=OWN),
    "GET /streams/{stream_id}/cover": Operation(pictures.Picture, refusals=OWN),
    "GET /me": Operation(accounts.OwnAccount),
    "PATCH /me": Operation(accounts.OwnAccount, body=accounts.AccountChange, refusals=("invalid_request", "too_large")),
    "GET /me/notifications": Operation(notices.Notices, query=Page, refusals=("invalid_request",)),
    "PUT /me/notifications": Operation(status=204, body=notices.NoticesRead, refusals=("invalid_request", "too_large")),
    "GET /me/notifications/preferences": Operation(notice_choice.Preferences),
    "PUT /me/notifications/preferences": Operation(
        notice_choice.Preferences, body=notice_choice.Preferences, refusals=("invalid_request", "too_large")
    ),
    "GET /me/devices": Operation(devices.DevicesView),
    "PUT /me/devices/{device_id}": Operation(
        status=204, body=devices.NewDevice, refusals=("invalid_request", "conflict", "too_large")
    ),
    "DELETE /me/devices/{device_id}": Operation(status=204, refusals=("conflict",)),
    "GET /me/eligibility": Operation(
        accounts.Eligibility, query=accounts.EligibilityQuery, refusals=("invalid_request",)
    ),
    "GET /me/moderators": Operation(accounts.Profiles),
    "PUT /me/moderators/{handle}": Operation(
        status=204, refusals=("invalid_request", "not_found", "conflict", "unavailable")
    ),
    "DELETE /me/moderators/{handle}": Operation(status=204, refusals=("invalid_request", "not_found")),
    "POST /streams/{stream_id}/report": Operation(
        reports.Accepted,
        202,
        reports.NewReport,
        refusals=("invalid_request", "not_found", "forbidden", "rate_limited", "too_large"),
    ),
    "POST /accounts/{handle}/report": Operation(
        reports.Accepted,
        202,
        reports.NewReport,
        refusals=("invalid_request", "not_found", "forbidden", "rate_limited", "too_large"),
    ),
    "GET /me/reports": Operation(reports.FiledList),
    "GET /operator/reports": Operation(reports.Cases, query=Page, refusals=OPERATING),
    "PUT /operator/reports/{case_id}": Operation(
        reports.CaseView, body=reports.CaseDecision, refusals=("not_found", "conflict", "too_large", *OPERATING)
    ),
    "GET /me/standing": Operation(standing_views.Record),
    "POST /me/standing/appeals": Operation(
        standing_views.RecordEntry,
        201,
        standing_views.NewAppeal,
        refusals=("invalid_request", "not_found", "conflict", "too_large"),
    ),
    "GET /operator/accounts/{handle}": Operation(standing_views.OperatedAccount, refusals=("forbidden", "not_found")),
    "POST /operator/accounts/{handle}/strikes": Operation(
        standing_views.RecordEntry,
        201,
        standing_views.NewStrike,
        refusals=(*OPERATING, "not_found", "conflict", "id_reused", "too_large"),
        repeatable=True,
    ),
    "PUT /operator/accounts/{handle}/standing": Operation(
        standing_views.OperatedAccount,
        body=standing_views.StandingChange,
        refusals=(*OPERATING, "not_found", "conflict", "too_large"),
    ),
    "PUT /operator/accounts/{handle}/live-access": Operation(
        standing_views.OperatedAccount,
        body=standing_views.LiveAccess,
        refusals=(*OPERATING, "not_found", "too_large"),
    ),
    "GET /operator/appeals": Operation(standing_views.Appeals, query=Page, refusals=OPERATING),
    "PUT /operator/appeals/{appeal_id}": Operation(
        standing_views.RecordEntry,
        body=standing_views.Review,
        refusals=(*OPERATING, "not_found", "conflict", "too_large"),
    ),
    "GET /operator/audit": Operation(trail.Entries, query=Page, refusals=OPERATING),
    "GET /accounts/{handle}": Operation(accounts.Profile, refusals=("not_found", "blocked")),
    "PUT /accounts/{handle}/follow": Operation(
        status=204, refusals=("invalid_request", "not_found", "blocked", "conflict")
    ),
    "DELETE /accounts/{handle}/follow": GRAPH,
    "DELETE /accounts/{handle}/follower": GRAPH,
    "PUT /accounts/{handle}/block": GRAPH,
    "DELETE /accounts/{handle}/block": GRAPH,
    "GET /me/blocks": Operation(accounts.Profiles, query=Page, refusals=("invalid_request",)),
    "GET /me/follow-requests": Operation(accounts.Profiles, query=Page, refusals=("invalid_request",)),
    "PUT /me/follow-requests/{handle}": Operation(
        status=204, refusals=("invalid_request", "not_found", "blocked", "conflict")
    ),
    "DELETE /me/follow-requests/{handle}": GRAPH,
    "GET /accounts/{handle}/followers": LISTED,
    "GET /accounts/{handle}/following": LISTED,
    "POST /streams": Operation(
        streams.StreamView,
        201,
        streams.NewStream,
        refusals=("invalid_request", "not_eligible", "id_reused", "too_large"),
        repeatable=True,
    ),
    "GET /streams/{stream_id}": Operation(streams.StreamView, refusals=("not_found", "blocked")),
    "PATCH /streams/{stream_id}": Operation(
        streams.StreamView, body=streams.StreamChange, refusals=("invalid_request", "conflict", "too_large", *OWN)
    ),
    "DELETE /streams/{stream_id}": Operation(status=204, refusals=("conflict", *OWN)),
    "POST /streams/{stream_id}/start": Operation(
        streams.StreamView,
        body=streams.StartStream,
        refusals=("invalid_request", "not_eligible", "already_live", "conflict", "too_large", *OWN),
    ),
    "POST /streams/{stream_id}/publish": Operation(
        streams.Publish, refusals=("invalid_request", "not_live", "conflict", *OWN), repeatable=True
    ),
    "POST /streams/{stream_id}/end": Operation(Summary, refusals=("not_live", *OWN)),
    "PUT /streams/{stream_id}/reminder": Operation(
        status=204, refusals=("invalid_request", "not_found", "conflict", *WATCHING)
    ),
    "DELETE /streams/{stream_id}/reminder": Operation(status=204),
    "POST /streams/{stream_id}/share": Operation(
        share_routes.ShareLink,
        body=share_routes.NewShare,
        refusals=("invalid_request", "too_large", "not_found", *WATCHING),
    ),
    "GET /streams/{stream_id}/shares": Operation(shares.ShareCounts, refusals=OWN),
    "GET /s/{code}": Operation(page=True, refusals=("not_found",)),
    "GET /streams/{stream_id}/viewers": Operation(
        rooms.Viewers, query=rooms.ViewersQuery, refusals=("invalid_request", "not_found", "not_live", *WATCHING)
    ),
    "POST /streams/{stream_id}/ticket": Operation(
        streams.Ticket,
        query=streams.TicketQuery,
        refusals=(
            "invalid_request",
            "not_found",
            "not_live",
            *WATCHING,
        ),
        optional_token=True,
    ),
    "GET /streams/{stream_id}/replay": Operation(
        streams.ReplayRight, refusals=("not_found", "conflict", "unavailable", *WATCHING), optional_token=True
    ),
    "POST /streams/{stream_id}/replay/download": Operation(
        streams.DownloadRight, refusals=("not_found", "forbidden", "conflict", "unavailable")
    ),
    "GET /me/replays": Operation(streams.Replays, query=Page, refusals=("invalid_request",)),
    "GET /accounts/{handle}/replays": Operation(
        streams.Replays,
        query=Page,
        refusals=("invalid_request", "not_found", "blocked", "forbidden", "suspended", "banned"),
    ),
    "GET /streams/{stream_id}/frames": Operation(
        FramesPage,
        query=rooms.FramesQuery,
        refusals=("invalid_request", "not_found", "conflict", *WATCHING),
        optional_token=True,
    ),
    "PATCH /streams/{stream_id}/room": Operation(
        rooms.RoomControls,
        body=rooms.RoomChange,
        refusals=("invalid_request", "not_found", "not_live", "forbidden", "too_large"),
    ),
    "PUT /streams/{stream_id}/members/{handle}": Operation(
        rooms.MemberView, body=rooms.MemberChange, refusals=("invalid_request", "not_found", "forbidden", "too_large")
    ),
    "DELETE /streams/{stream_id}/events/{event_id}": Operation(
        status=204, query=rooms.EventQuery, refusals=("invalid_request", "not_found", "forbidden")
    ),
    "GET /streams/{stream_id}/held": Operation(rooms.HeldComments, refusals=("not_found", "forbidden")),
    "PUT /streams/{stream_id}/held/{event_id}": Operation(
        status=204,
        body=rooms.HeldDecision,
        refusals=("invalid_request", "not_found", "forbidden", "not_live", "conflict", "too_large"),
    ),
    "GET /streams/{stream_id}/questions": Operation(
        rooms.Questions, refusals=("not_found", *WATCHING), optional_token=True
    ),
    "GET /streams/{stream_id}/seats": Operation(rooms.Seats, refusals=SEATED),
    "POST /streams/{stream_id}/seats": Operation(
        rooms.SeatGrant,
        201,
        rooms.SeatRequest,
        refusals=("invalid_request", "forbidden", "not_eligible", "conflict", "rate_limited", "too_large", *SEATED),
        repeatable=True,
    ),
    "PATCH /streams/{stream_id}/seats": Operation(
        rooms.Seats, body=rooms.StageChange, refusals=("invalid_request", "forbidden", "too_large", *SEATED)
    ),
    "PATCH /streams/{stream_id}/seats/{seat_id}": Operation(
        rooms.SeatGrant,
        body=rooms.SeatChange,
        refusals=("invalid_request", "forbidden", "not_eligible", "conflict", "too_large", *SEATED),
    ),
    "DELETE /streams/{stream_id}/seats/{seat_id}": Operation(status=204, refusals=("forbidden", *SEATED)),
    "GET /streams/{stream_id}/match": Operation(rooms.MatchAnswer, refusals=MATCHED),
    "POST /streams/{stream_id}/match": Operation(
        MatchView,
        201,
        rooms.MatchRequest,
        refusals=("invalid_request", "conflict", "rate_limited", "too_large", *MATCHED, *WATCHING[1:]),
        repeatable=True,
    ),
    "PATCH /streams/{stream_id}/match": Operation(
        MatchView,
        body=rooms.MatchChange,
        refusals=("invalid_request", "conflict", "blocked", "too_large", *MATCHED),
    ),
    "DELETE /streams/{stream_id}/match": Operation(
        status=204, query=rooms.MatchQuery, refusals=("invalid_request", *MATCHED)
    ),
    "GET /feed/for-you": FEED,
    "GET /feed/following": FEED,
    "GET /feed/upcoming": FEED,
    "GET /gifts": Operation(wallet.Gifts, query=wallet.GiftsQuery, refusals=("invalid_request",)),
    "GET /coin-packs": Operation(wallet.CoinPacks),
    "GET /wallet": Operation(purchases.WalletAnswer),
    "GET /wallet/export": Operation(export.Export, query=export.ExportQuery, refusals=("invalid_request",), csv=True),
    "GET /wallet/months": Operation(boards.Months),
    "GET /wallet/days": Operation(boards.Days, query=boards.DaysQuery, refusals=("invalid_request",)),
    "GET /streams/{stream_id}/leaderboard": Operation(
        boards.Leaderboard,
        query=boards.BoardQuery,
        refusals=("invalid_request", "not_found", *WATCHING),
        optional_token=True,
    ),
    "GET /streams/{stream_id}/goals": Operation(
        boards.GoalsProgress, refusals=("not_found", *WATCHING), optional_token=True
    ),
    "PUT /streams/{stream_id}/goals": Operation(
        boards.GoalsProgress, body=boards.Goals, refusals=("invalid_request", "too_large", *OWN)
    ),
    "GET /accounts/{handle}/leaderboard": Operation(
        boards.Leaderboard,
        query=boards.BoardQuery,
        refusals=("invalid_request", "not_found", "blocked", "forbidden", "unauthenticated"),
        optional_token=True,
    ),
    "GET /accounts/{handle}/gifts": Operation(
        boards.Gallery, refusals=("not_found", "blocked", "forbidden", "unauthenticated"), optional_token=True
    ),
    "GET /wallet/limit": Operation(self_limit.LimitAnswer),
    "PUT /wallet/limit": Operation(
        self_limit.LimitAnswer, body=self_limit.LimitChange, refusals=("invalid_request", "too_large")
    ),
    "GET /wallet/statement": Operation(wallet.Statement, query=Page, refusals=("invalid_request",)),
    "GET /payouts": Operation(payouts.PayoutsPage, query=Page, refusals=("invalid_request",)),
    "POST /payouts": Operation(
        payouts.PayoutAnswer,
        201,
        payouts.PayoutRequest,
        refusals=(
            "invalid_request",
            "not_eligible",
            "suspended",
            "banned",
            "insufficient_diamonds",
            "limit_reached",
            "forbidden",
            "id_reused",
            "too_large",
        ),
        repeatable=True,
    ),
    "GET /payouts/account": Operation(payouts.PayeeAnswer),
    "PUT /payouts/account": Operation(
        payouts.PayeeAnswer,
        body=payouts.PayeeChange,
        refusals=("invalid_request", "not_eligible", "suspended", "banned", "forbidden", "too_large"),
    ),
    "POST /payouts/account/link": Operation(
        payouts.Link, 201, refusals=("not_eligible", "suspended", "banned", "forbidden")
    ),
    "GET /payouts/quote": Operation(
        payouts.Quote,
        query=payouts.QuoteQuery,
        refusals=("invalid_request", "not_eligible", "insufficient_diamonds", "limit_reached", "forbidden"),
    ),
    "GET /payouts/years/{year}": Operation(payouts.YearSummary, refusals=("invalid_request",)),
    "GET /operator/ledger": Operation(prove.Kept, refusals=("forbidden", "not_found")),
    "GET /operator/ledger/page": Operation(refusals=("forbidden", "not_found")),
    "GET /operator/payouts": Operation(
        payout_review.Queue, query=payout_review.QueueQuery, refusals=("invalid_request", "forbidden")
    ),
    "PUT /operator/payouts/{account}/{payout}": Operation(
        payout_review.WaitingPayout,
        body=payout_review.Decision,
        refusals=("invalid_request", "forbidden", "not_found", "conflict", "not_eligible", "too_large"),
    ),
    "POST /purchases": Operation(
        purchases.WalletAnswer,
        201,
        purchases.PurchaseRequest,
        refusals=("invalid_request", "purchase_refused", "conflict", "id_reused", "too_large"),
        repeatable=True,
    ),
    "POST /checkouts": Operation(
        provider.Checkout,
        201,
        purchases.CheckoutRequest,
        refusals=("invalid_request", "purchase_refused", "id_reused", "too_large"),
        repeatable=True,
    ),
    "POST /webhooks/{provider}": Operation(
        status=204,
        refusals=("unauthenticated", "invalid_request", "purchase_refused", "conflict", "not_found", "too_large"),
    ),
}


def types() -> list[Any]:
    """Every type that the document describes."""
    found = [given for row in OPERATIONS.values() for given in (row.answer, row.body) if given is not None]
    return list(dict.fromkeys(found))
