"""HTTPS routes of getting in: sessions, contact and its code, forgotten passwords, the second step.

Nothing here tells whether a handle exists: what is asked of one that does not is answered alike, and letters are
written by a queue's worker, so that an answer takes the same time.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from chalice.app import Blueprint, Response

from functions import messages, parse
from functions.accounts import codes, letters, model, pool, rates, table, views
from functions.accounts.table import ProfileItem
from functions.accounts.work import Work, order
from functions.errors import OnairError
from functions.parse import Identity
from functions.security import cognito

routes = Blueprint(__name__)


def _language() -> str:
    return messages.language(routes.current_request.headers.get("accept-language"))


def _me() -> tuple[Identity, str]:
    """Who asks, and with which access token."""
    me, token = parse.identity(routes.current_request), parse.bearer(routes.current_request)
    if token is None:
        raise OnairError("unauthenticated")
    return me, token


def _strong(field: str, password: str) -> str:
    weak = model.password_problem(password)
    if weak:
        raise parse.refused(field, weak)
    return password


@routes.route("/sessions", methods=["POST"])
def create_session() -> views.Session:
    """Sign in by password (and code), or go on by refresh token."""
    request = routes.current_request
    given = parse.body(request, views.SignIn)
    if given.refresh_token is not None:
        tokens = pool.refresh(given.refresh_token)
    elif given.handle is None:
        raise parse.refused("handle", "Give `handle` and `password`, or `refresh_token`.")
    elif given.password is None:
        raise parse.refused("password", "Give `handle` and `password`, or `refresh_token`.")
    elif not 1 <= len(given.handle) <= model.HANDLE_LENGTH_MAX:
        # No handle looks like this, so the answer is the one for a wrong password.
        raise OnairError("unauthenticated", pool.WRONG)
    else:
        # The pool takes a name in any case: one person has one count of failures, however the name is written.
        tokens = _signed_in(given.handle.lower(), given.password, given.code, rates.address(request))
    return views.Session(tokens.access_token, tokens.refresh_token or "", tokens.expires_in)


def _signed_in(handle: str, password: str, code: str | None, source: str) -> pool.Tokens:
    limits = rates.sign_in_limits(handle, source)
    rates.check(limits)
    try:
        if code is not None and not code.isdigit():
            return _recovered(handle, password, code)
        return pool.sign_in(handle, password, code)
    except OnairError as error:
        # A right password without its code is half a way in: no failure.
        if error.code == "unauthenticated" and (code is not None or error.message != pool.ASK_CODE):
            rates.count(limits)
        raise


def _recovered(handle: str, password: str, code: str) -> pool.Tokens:
    if pool.asks_for_code(handle, password):
        account_id = table.id_of(handle)
        if account_id is None or not codes.redeem_recovery(account_id, code):
            raise OnairError("unauthenticated", pool.WRONG_CODE, details={"needs": "code"})
        _end_second_step(account_id, handle)
    return pool.sign_in(handle, password)


@routes.route("/sessions", methods=["DELETE"], authorizer=cognito)
def delete_sessions() -> None:
    """Sign out everywhere."""
    _, token = _me()
    pool.sign_out(token)


@routes.route("/me/contact", methods=["PUT"], authorizer=cognito)
def change_contact() -> Response:
    """Have a code sent to a contact; the contact before it counts until the code was shown."""
    request = routes.current_request
    me = parse.identity(request)
    contact = parse.body(request, views.Contact).contact.strip()
    problem = model.contact_problem(contact)
    if problem:
        raise parse.refused("contact", problem)
    table.required(me.account)
    if not letters.can_send(contact):
        raise OnairError("unavailable", "This deployment sends no e-mail yet.")
    # By contact as well: nobody's mailbox is filled from many accounts.
    rates.take(rates.letter_limits("contact", me.account, rates.address(request)))
    rates.take(rates.letter_limits("contact_at", contact.lower(), rates.address(request))[:1])
    order(Work("letter", account=me.account, contact=contact, language=_language()))
    return Response({}, status_code=202)


@routes.route("/me/contact/verify", methods=["POST"], authorizer=cognito)
def verify_contact() -> views.OwnAccount:
    """Show the code that came to a contact: from then on it is the account's."""
    request = routes.current_request
    me = parse.identity(request)
    contact = codes.redeem(me.account, "contact", parse.body(request, views.ShownCode).code)
    if contact is None:
        raise OnairError("invalid_request", pool.WRONG_CODE, field="code")
    actions = [ProfileItem.contact.set(contact), ProfileItem.contact_verified.set(True)]
    return views.own(table.change(me.account, actions))


@routes.route("/password-resets", methods=["POST"])
def reset_password() -> Response:
    """Have a code sent to the verified contact of a handle, if it has one; the answer is the same if not."""
    request = routes.current_request
    handle = parse.body(request, views.Reset).handle
    if model.handle_problem(handle) is None:
        rates.take(rates.letter_limits("reset", handle, rates.address(request)))
        order(Work("reset", handle=handle, language=_language()))
    return Response({}, status_code=202)


@routes.route("/password-resets/confirm", methods=["POST"])
def confirm_reset() -> None:
    """A new password by the code; every session ends."""
    request = routes.current_request
    given = parse.body(request, views.NewPassword)
    _strong("password", given.password)
    limits = rates.sign_in_limits(given.handle, rates.address(request))
    rates.check(limits)
    account_id = table.id_of(given.handle) if model.handle_problem(given.handle) is None else None
    # An account that is not there has no code either: one try costs the same.
    if codes.redeem(account_id or f"nobody#{given.handle}", "reset", given.code) is None:
        rates.count(limits)
        raise OnairError("invalid_request", pool.WRONG_CODE, field="code")
    pool.set_password(given.handle, given.password)
    pool.sign_out_everywhere(given.handle)


@routes.route("/me/password", methods=["PUT"], authorizer=cognito)
def change_password() -> None:
    """Change one's password by the one before; every session ends."""
    request = routes.current_request
    me, token = _me()
    given = parse.body(request, views.PasswordChange)
    _strong("new_password", given.new_password)
    limits = rates.sign_in_limits(me.handle, rates.address(request))
    rates.check(limits)
    try:
        pool.change_password(token, given.password, given.new_password)
    except OnairError as error:
        if error.code == "unauthenticated":
            rates.count(limits)
            raise parse.refused("password", pool.WRONG_PASSWORD) from None
        raise
    pool.sign_out_everywhere(me.handle)


@routes.route("/me/totp", methods=["POST"], authorizer=cognito)
def set_up_totp() -> views.TotpSecret:
    """A secret for an authenticator app; nothing changes until a code of it was shown."""
    me, token = _me()
    secret = pool.set_up_totp(token)
    label = quote(f"Onair:{me.handle}", safe="")
    return views.TotpSecret(secret, f"otpauth://totp/{label}?secret={secret}&issuer=Onair")


@routes.route("/me/totp/confirm", methods=["POST"], authorizer=cognito)
def confirm_totp() -> views.RecoveryCodes:
    """Show a code of the app: from then on signing in asks for one. Answers recovery codes, once."""
    me, token = _me()
    given = parse.body(routes.current_request, views.ShownCode)
    table.required(me.account)
    pool.confirm_totp(token, me.handle, given.code)
    made = codes.issue_recovery(me.account)
    table.change(me.account, [ProfileItem.totp.set(True)])
    return views.RecoveryCodes(made)


@routes.route("/me/totp/disable", methods=["POST"], authorizer=cognito)
def disable_totp() -> None:
    """End the second step, by one's password; again changes nothing."""
    request = routes.current_request
    me = parse.identity(request)
    limits = rates.sign_in_limits(me.handle, rates.address(request))
    rates.check(limits)
    try:
        pool.asks_for_code(me.handle, parse.body(request, views.OwnPassword).password)
    except OnairError as error:
        if error.code == "unauthenticated":
            rates.count(limits)
            raise parse.refused("password", pool.WRONG_PASSWORD) from None
        raise
    _end_second_step(me.account, me.handle)


def _end_second_step(account_id: str, handle: str) -> None:
    pool.stop_totp(handle)
    changes: Any = [ProfileItem.totp.set(False)]
    table.change(account_id, changes)
