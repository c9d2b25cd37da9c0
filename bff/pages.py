"""The built page (``frontend/dist``) and the plain pages for people whose login went wrong."""

from __future__ import annotations

import html
import mimetypes
import re
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from bff.context import TheBff
from bff.problems import RefusalError, problem

router = APIRouter()
FORMS = {"br": ".br", "gzip": ".gz"}
"""Content codings in which the build leaves its files, the smallest first, and what their names end with."""

PROGRAM_PATHS = ("/reports", "/users", "/auth/session", "/auth/logout", "/auth/backchannel-logout", "/health")
"""Below these, programs ask; elsewhere people may."""
PAGE_PATH = re.compile(r"/(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}/)*(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,99})?")
"""Addresses of the page and of its files, as they come on the wire: nothing encoded, no segment that begins with a dot, none longer than a file's name may be."""
MAX_PAGE_PATH = 1024
IMMUTABLE = "public, max-age=31536000, immutable"
STYLE = """
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem; color: #1b2733; background: #f6f8fa; }
h1 { font-size: 1.4rem; } a { color: #0b5cad; } .action { margin-top: 2rem; } small { color: #5c6b7a; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #10161d; } a { color: #7ab7ff; } small { color: #9aa7b4; } }
"""

_TEXTS = {
    "en": {
        "title": "This did not work",
        "unavailable": "Part of the service does not answer just now. Nothing is lost; try again in a moment.",
        "too-many-requests": "Too many attempts. Wait a minute, then try again.",
        "login-cancelled": "The login was not completed. You can try again.",
        "not-found": "There is no page at this address.",
        "bad-return-address": "This login link leads somewhere else than to this site, so it was not followed.",
        "front-end-missing": "The page has not been built yet: run `npm run build` in frontend/.",
        "other": "The login could not be completed. Please log in again.",
        "again": "Log in",
        "home": "To the start page",
        "request": "Request",
    },
    "ru": {
        "title": "Не получилось",
        "unavailable": "Часть сервиса сейчас не отвечает. Ничего не потеряно; попробуйте ещё раз чуть позже.",
        "too-many-requests": "Слишком много попыток. Подождите минуту и попробуйте снова.",
        "login-cancelled": "Вход не завершён. Можно попробовать ещё раз.",
        "not-found": "По этому адресу страницы нет.",
        "bad-return-address": "Ссылка для входа ведёт на чужой адрес, поэтому мы по ней не перешли.",
        "front-end-missing": "Страница ещё не собрана: выполните `npm run build` в frontend/.",
        "other": "Не удалось завершить вход. Пожалуйста, войдите ещё раз.",
        "again": "Войти",
        "home": "На главную",
        "request": "Запрос",
    },
}


def language(accept_language: str) -> str:
    """``ru`` or ``en``, whichever the browser names first."""
    for part in accept_language.lower().split(",")[:10]:
        tag = part.split(";")[0].strip()[:2]
        if tag in _TEXTS:
            return tag
    return "en"


def answer(refusal: RefusalError, request: Request, request_id: str) -> Response:
    """A page where a person looks at the answer, problem details everywhere else."""
    is_program = request.url.path.startswith(PROGRAM_PATHS) or not _is_for_a_person(request)
    return problem(refusal, request_id) if is_program else refusal_page(refusal, request, request_id)


def _is_for_a_person(request: Request) -> bool:
    accepted = request.headers.get("accept", "text/html")
    return ("text/html" in accepted or "*/*" in accepted) and request.headers.get("sec-fetch-mode", "navigate") == "navigate"


def refusal_page(refusal: RefusalError, request: Request, request_id: str) -> HTMLResponse:
    """A page for a person: what happened and what to do, without a word that came with the request."""
    tongue = language(request.headers.get("accept-language", ""))
    texts = _TEXTS[tongue]
    message = texts.get(refusal.kind, texts["other"])
    link, label = ("/", texts["home"]) if refusal.kind == "not-found" else ("/auth/login", texts["again"])
    body = (
        f'<!doctype html><html lang="{tongue}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>BionicPRO</title><link rel="stylesheet" href="/auth/page.css"></head><body><main><h1>{html.escape(texts["title"])}</h1>'
        f'<p>{html.escape(message)}</p><p class="action"><a href="{link}">{html.escape(label)}</a></p>'
        f"<small>{html.escape(texts['request'])} {html.escape(request_id)}</small></main></body></html>"
    )
    return HTMLResponse(body, int(refusal.status), refusal.headers)


@router.get("/auth/page.css", include_in_schema=False)
async def style() -> Response:
    return Response(STYLE, media_type="text/css", headers={"cache-control": "public, max-age=3600"})


@router.get("/{path:path}", include_in_schema=False)
async def page(request: Request, bff: TheBff) -> Response:
    """A file of the built page. For any other address that a browser navigates to, the page itself, which shows what the address names."""
    path = request.scope["raw_path"].decode("ascii", "replace")
    if len(path) > MAX_PAGE_PATH or not PAGE_PATH.fullmatch(path):
        raise _nothing_here()
    root = bff.settings.static_dir.resolve()
    file = _file(root, path)
    is_asset = path.startswith("/assets/")
    if file is not None:
        return served(request, file, IMMUTABLE if is_asset else "no-cache")
    if path.startswith("/auth/") or is_asset or "text/html" not in request.headers.get("accept", "text/html"):
        raise _nothing_here()
    index = root / "index.html"
    if not index.is_file():
        raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "front-end-missing", "The page has not been built yet.", retry_after_s=30)
    return served(request, index, "no-cache")


def served(request: Request, file: Path, cache_control: str) -> Response:
    """*file*, or the form of it that the build compressed, if the browser takes that; 304 where the browser has it.

    Each form has its own ``ETag`` (of its size and time), and ``Vary`` keeps a cache from giving one browser another's form.
    """
    headers = {"cache-control": cache_control, "vary": "accept-encoding"}
    media_type, _ = mimetypes.guess_type(file.name)
    for coding in accepted_codings(request.headers.get("accept-encoding", "")):
        compressed = file.with_name(file.name + FORMS[coding])
        if compressed.is_file():
            file, headers["content-encoding"] = compressed, coding
            break
    response = FileResponse(file, headers=headers, media_type=media_type, stat_result=file.stat())
    if request.headers.get("if-none-match") == response.headers["etag"]:
        kept = {name: response.headers[name] for name in ("etag", "cache-control", "vary")}
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)
    return response


def accepted_codings(accept_encoding: str) -> list[str]:
    """Those of `FORMS` that an ``Accept-Encoding`` header takes (a weight of 0 refuses), the smallest first."""
    taken = {
        name.strip(): _weight(weight) > 0 for name, _, weight in (part.partition(";") for part in accept_encoding.lower().split(",")[:20])
    }
    return [coding for coding in FORMS if taken.get(coding, taken.get("*", False))]


def _weight(parameter: str) -> float:
    try:
        return float(parameter.replace(" ", "").removeprefix("q=")) if parameter else 1.0
    except ValueError:
        return 0.0


def _nothing_here() -> RefusalError:
    return RefusalError(HTTPStatus.NOT_FOUND, "not-found", "There is nothing at this address.")


def _file(root: Path, path: str) -> Path | None:
    """The file of a *path* like `PAGE_PATH` below *root*, or None; a link that leads outside counts as no file."""
    try:
        file = (root / path[1:]).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, RuntimeError):  # the names are too long together, or a link leads in a circle
        return None
