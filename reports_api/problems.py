"""Every error as a problem detail (RFC 9457), and nothing in it that the caller did not already know."""

from __future__ import annotations

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reports_api.pool import StoreFailedError, StoreUnavailableError
from reports_api.schemas import ParameterError, Problem
from service_kit.problem_details import MEDIA_TYPE, ProblemError, kind_of, of_problem
from service_kit.shares import RETRY_AFTER_S, ShareFullError

log = structlog.get_logger(__name__)
MAX_ERRORS = 20


def not_found() -> ProblemError:
    """The one answer for what does not exist and for what belongs to somebody else, so that nobody learns which it is."""
    return ProblemError(404, "not-found", "There is nothing at this address for you.")


def invalid(location: str, name: str, detail: str) -> ProblemError:
    """A parameter that is wrong."""
    return ProblemError(422, "invalid-parameter", "A parameter is wrong.", members={"errors": [ParameterError(location, name, detail)]})


def unavailable(detail: str, retry_after_s: float) -> ProblemError:
    """Something this service needs is away for now."""
    # Rounded up beyond whole seconds: who comes a little later finds more of it back.
    return ProblemError(503, "unavailable", detail, retry_after_s=max(1, round(retry_after_s + 0.5)))


def no_place(full: ShareFullError, kind: str, detail: str, retry_after_s: int = RETRY_AFTER_S) -> ProblemError:
    """429 of that *kind* where the caller's own share is used up, 503 where nobody has a place left."""
    if not full.own:
        return unavailable(detail, retry_after_s)
    return ProblemError(429, kind, detail, retry_after_s=retry_after_s)


def response(problem: ProblemError, request_id: str) -> Response:
    """The HTTP answer of a problem."""
    body = msgspec.convert({"errors": []} | of_problem(problem, request_id), Problem)
    return Response(msgspec.json.encode(body), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Handle every exception that can leave a route. What nobody foresaw is answered by the outermost layer (``edge.py``)."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(StoreUnavailableError, _on_store_unavailable)
    app.add_exception_handler(StoreFailedError, _on_store_failed)


def _answer(request: Request, problem: ProblemError) -> Response:
    return response(problem, request.scope["state"]["request_id"])


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _answer(request, error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _answer(request, not_found())
    return _answer(request, ProblemError(error.status_code, *kind_of(error), headers=error.headers))


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        ParameterError(location=str(e["loc"][0]), name=".".join(str(part) for part in e["loc"][1:])[:100], detail=str(e["msg"])[:200])
        for e in error.errors()[:MAX_ERRORS]
    ]
    return _answer(request, ProblemError(422, "invalid-parameter", "A parameter is wrong.", members={"errors": errors}))


async def _on_store_unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailableError)
    log.warning("the mart is unavailable", reason=str(error))
    return _answer(request, unavailable("Reports cannot be read right now; please try again.", error.retry_after_s))


async def _on_store_failed(request: Request, _: Exception) -> Response:
    return _answer(request, ProblemError(500, "internal", "The service failed; the fault has been recorded."))
