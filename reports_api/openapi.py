"""The OpenAPI document: its components are made from the structures that are encoded (``schemas.py``), so the two cannot drift apart."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from reports_api import detail_schemas, schemas
from reports_api.dependencies import SUPPORT_PREFIX
from reports_api.examples import EXAMPLES
from service_kit.server_sent_events import MEDIA_TYPE
from service_kit.support_access import LEAST_REASON_CHARS, REASON_HEADER

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
SHAPES = (
    schemas.Page,
    schemas.Today,
    schemas.Hours,
    schemas.Summary,
    detail_schemas.TypicalDay,
    detail_schemas.ErrorTimes,
    detail_schemas.Prostheses,
    detail_schemas.ErrorTexts,
    detail_schemas.Wearers,
    schemas.Problem,
    schemas.Health,
    schemas.Heartbeat,
)
PROBLEMS = {
    401: "No access token, or one that is not valid here",
    403: "Support has to say why (`reason-required`)",
    404: "There is nothing at this address for this caller",
    422: "A parameter is wrong",
    429: "Too many requests or streams",
    500: "The service failed",
    503: "The mart or the identity provider is away for now; `Retry-After` says when to ask again",
}
ETAG = {
    "ETag": {"description": "Weak tag of the reports' versions", "schema": {"type": "string"}},
    "BionicPRO-As-Of": {"description": "`as_of`, also where the body is not sent", "schema": {"type": "string", "format": "date-time"}},
}
_EXAMPLE_OF = {shape.__name__: example for shape, example in EXAMPLES.items()}
DESCRIPTION = """Same-day reports for wearers of bionic prostheses. Read-only.

Every answer says how fresh it is (`as_of`, `freshness_ms`), whether a day is `complete`, and in which `units`. Every error is a problem detail
(RFC 9457). Numbers are defined in `docs/metrics.md`."""

_REASON = {
    "name": REASON_HEADER,
    "in": "header",
    "required": True,
    "schema": {"type": "string", "minLength": LEAST_REASON_CHARS},
    "description": "Why the reports are opened, 5 to 200 characters in percent-encoded UTF-8; kept with the record of the access. Without it: 403",
}
Answers = dict[int | str, dict[str, Any]]


def _problems() -> Answers:
    return {status: {"description": text, "content": PROBLEM} for status, text in PROBLEMS.items()}


def answers(shape: type[schemas.Shape], *, not_modified: bool = False) -> Answers:
    """The answers of an endpoint that returns *shape* as JSON."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}, "example": EXAMPLES[shape]}}
    found: Answers = {200: {"description": shape.__doc__ or "", "content": content, "headers": ETAG if not_modified else {}}}
    if not_modified:
        found[304] = {"description": "The caller has this answer", "headers": ETAG}
    return found | _problems()


def health_answers() -> Answers:
    """The answers of a health check: the same shape whether it is well or not."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}, "example": EXAMPLES[schemas.Health]}}
    return {200: {"description": "It is well", "content": content}, 503: {"description": "`checks` says why not", "content": content}}


def file_answers(media_type: str) -> Answers:
    """The answers of an endpoint that returns a file."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"} if "pdf" in media_type else {"type": "string"}}}
    disposition = {"Content-Disposition": {"schema": {"type": "string"}, "description": "`attachment` with a file name"}}
    return {200: {"description": "The file", "content": content, "headers": disposition}} | _problems()


def stream_answers() -> Answers:
    """The answers of the live stream."""
    text = (
        "Events: `report` (id, data: a `Today` body) when the mart changed, `heartbeat` (data: `Heartbeat`) where nothing did, "
        "`end` (data: a reason) before the service closes the stream, at the latest when the token expires."
    )
    return {200: {"description": text, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}} | _problems()


def install(app: FastAPI) -> None:
    """Have *app* serve the complete document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def document(app: FastAPI) -> dict[str, Any]:
    """The document of *app*'s routes, with our components, security and without FastAPI's own error shape."""
    made = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags)
    _, components = msgspec.json.schema_components(SHAPES, ref_template="#/components/schemas/{name}")
    parts = made.setdefault("components", {})
    known = {name: schema for name, schema in parts.get("schemas", {}).items() if name not in ("HTTPValidationError", "ValidationError")}
    parts["schemas"] = known | components
    parts["securitySchemes"] = {
        "AccessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The user's own access token, made for the audience `reports-api`",
        }
    }
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation["security"] = [{"AccessToken": []}] if path.startswith(("/reports/", "/users")) else []
            if path.startswith(SUPPORT_PREFIX):
                operation["parameters"].append(_REASON)
            for answer in operation["responses"].values():
                _give_example(answer.get("content", {}).get("application/json", {}))
    return made


def _give_example(content: dict[str, Any]) -> None:
    """The example as it is: FastAPI leaves out what is null in it."""
    if "example" in content:
        content["example"] = _EXAMPLE_OF[content["schema"]["$ref"].rpartition("/")[2]]
