"""``/auth/login`` and ``/auth/callback``: authorization code with PKCE, bound to the browser that began it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse, Response

from bff.context import Bff, Client, CountedAs, TheBff
from bff.deadlines import DeadlineRoute
from bff.id_tokens import InvalidTokenError
from bff.oidc import GrantRefusedError
from bff.problems import RefusalError
from bff.request_guard import comes_from_elsewhere, require_navigation
from bff.return_to import is_local_path
from bff.sealing import SealBrokenError
from bff.sessions import Session
from bff.transactions import Transaction

router = APIRouter(route_class=DeadlineRoute)
ERRORS_OF_THE_MOMENT = frozenset({"temporarily_unavailable", "server_error"})


@router.get("/auth/login")
async def login(
    request: Request,
    bff: TheBff,
    client: Client,
    counted_as: CountedAs,
    *,
    return_to: str = "/",
    lang: str | None = None,
    login_hint: Annotated[str | None, Query(max_length=100, pattern=r"^[\w.@+-]+$")] = None,
) -> Response:
    """Begin a login and send the browser to Keycloak. Refuses an address to return to that is not a page of this site.

    *login_hint* (OpenID Connect Core 3.1.2.1) only fills in the name on Keycloak's form.
    """
    require_navigation(request)
    # Counted apart, so that no foreign page can use up what its viewer may do.
    what = "logins from elsewhere" if comes_from_elsewhere(request) else "logins"
    await bff.limits.count(what, counted_as, bff.settings.logins_per_minute)
    if len(request.query_params.getlist("return_to")) > 1 or not is_local_path(return_to):
        bff.audit.login_refused("bad return address", client)
        raise RefusalError(HTTPStatus.BAD_REQUEST, "bad-return-address", "The address to return to is not a page of this site.")
    await bff.keycloak.require_available()
    begun = await bff.transactions.begin(return_to)
    transaction = begun.transaction
    location = await bff.keycloak.authorization_url(
        redirect_uri=bff.settings.redirect_uri,
        state=begun.state,
        nonce=transaction.nonce,
        verifier=transaction.verifier,
        ui_locale=lang,
        login_hint=login_hint,
        max_age_s=bff.settings.max_authentication_age_s,
    )
    response = RedirectResponse(location, HTTPStatus.SEE_OTHER)
    for name in bff.cookies.abandoned_logins(request):
        bff.cookies.clear_login(response, name)
    bff.cookies.set_login(response, begun.state, begun.binding, bff.settings.login_transaction_s)
    return response


@router.get("/auth/callback")
async def callback(request: Request, bff: TheBff, client: Client, counted_as: CountedAs) -> Response:
    """Finish a login: a new session under a new id, whatever cookie the browser brought."""
    require_navigation(request)
    try:
        state = _single(request.query_params, "state")
        transaction = await _transaction(bff, request, state, counted_as)
        code = _code(request.query_params, bff.keycloak.issuer)
        session_id, session = await _session(bff, code, transaction)
    except RefusalError as refusal:
        bff.audit.login_refused(refusal.kind, client)
        raise
    await _end_replaced(bff, request, session)
    bff.audit.login_succeeded(session, client)
    response = RedirectResponse(transaction.return_to, HTTPStatus.SEE_OTHER)
    bff.cookies.set_session(response, session_id)
    bff.cookies.clear_login(response, bff.cookies.login_name(state))
    return response


def _refused(kind: str, detail: str) -> RefusalError:
    return RefusalError(HTTPStatus.BAD_REQUEST, kind, detail)


def _single(parameters: QueryParams, name: str) -> str:
    values = parameters.getlist(name)
    if len(values) != 1:
        raise _refused(
            "login-not-begun-here", "This login was not begun in this browser, or it has been used already. Please log in again."
        )
    return str(values[0])


async def _transaction(bff: Bff, request: Request, state: str, counted_as: str) -> Transaction:
    binding = bff.cookies.sent(request).get(bff.cookies.login_name(state))
    if binding is not None:
        # Who has no login under way asks neither Redis nor Keycloak anything, and uses up nobody's logins.
        await bff.limits.count("callbacks", counted_as, bff.settings.logins_per_minute)
    transaction = await bff.transactions.take(state, binding)
    if transaction is None:
        raise _refused(
            "login-not-begun-here", "This login was not begun in this browser, or it has been used already. Please log in again."
        )
    return transaction


def _code(parameters: QueryParams, issuer: str) -> str:
    """The authorization code of a callback that comes from our issuer (RFC 9207) and reports no error."""
    if parameters.getlist("iss") != [issuer]:
        raise _refused("wrong-issuer", "The answer does not come from our login server. Please log in again.")
    if "error" in parameters:
        if parameters["error"] in ERRORS_OF_THE_MOMENT:
            raise RefusalError(
                HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "The login server cannot log you in just now.", retry_after_s=5
            )
        raise _refused("login-cancelled", "The login was not completed. You can try again.")
    codes = parameters.getlist("code")
    if len(codes) != 1 or not codes[0]:
        raise _refused("no-code", "The login server's answer is incomplete. Please log in again.")
    return str(codes[0])


async def _session(bff: Bff, code: str, transaction: Transaction) -> tuple[str, Session]:
    try:
        grant, id_token = await bff.keycloak.exchange(code, transaction.verifier, bff.settings.redirect_uri)
        identity = await bff.validator.identity_of_login(id_token, nonce=transaction.nonce)
    except GrantRefusedError:
        raise _refused("code-refused", "The login has taken too long or was used already. Please log in again.") from None
    except InvalidTokenError as error:
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, f"bad-id-token: {error}", "The login could not be verified. Please log in again."
        ) from None
    made = await bff.sessions.create(identity, grant)
    if made is None:
        raise _refused("ended-meanwhile", "You were logged out while logging in. Please log in again.")
    return made


async def _end_replaced(bff: Bff, request: Request, session: Session) -> None:
    """End the session that this browser had before; Keycloak's session stays, for it is the new one's too."""
    old_id = bff.cookies.session_id(request)
    if old_id is None:
        return
    try:
        old = await bff.sessions.read(old_id)
    except SealBrokenError:
        return
    if old is not None and old.key != session.key and await bff.sessions.end(old):
        bff.streams.end(old.key)
