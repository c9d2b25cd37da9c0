"""How the built page's files are served: compressed where the browser takes it, and not again where it has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from bff.pages import accepted_codings, served


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script of the build in its three forms, written at the same instant."""
    file = tmp_path / "index-1.js"
    for name, content in (("index-1.js", b"x" * 3000), ("index-1.js.br", b"b" * 30), ("index-1.js.gz", b"g" * 300)):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1_000_000, 1_000_000))
    return file


def answer(file: Path, **headers: str) -> Response:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return served(Request({"type": "http", "method": "GET", "path": "/", "headers": raw}), file, "no-cache")


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        ("gzip, deflate, br, zstd", ["br", "gzip"]),
        ("gzip", ["gzip"]),
        ("br;q=0, gzip;q=0.5", ["gzip"]),
        ("*", ["br", "gzip"]),
        ("*;q=0", []),
        ("gzip;q=nonsense", []),
        ("identity", []),
        ("", []),
    ],
)
def test_a_coding_is_used_only_where_the_browser_takes_it(header: str, codings: list[str]) -> None:
    assert accepted_codings(header) == codings


@pytest.mark.parametrize(
    ("accepts", "name", "coding"), [("gzip, br", "index-1.js.br", "br"), ("gzip", "index-1.js.gz", "gzip"), ("", "index-1.js", None)]
)
def test_the_smallest_form_that_the_browser_takes_is_sent_as_what_it_is(script: Path, accepts: str, name: str, coding: str | None) -> None:
    found = answer(script, accept_encoding=accepts)
    assert isinstance(found, FileResponse)
    assert Path(found.path).name == name
    assert found.headers.get("content-encoding") == coding
    assert found.headers["content-type"].startswith("text/javascript")
    assert found.headers["vary"] == "accept-encoding"


def test_a_file_that_the_build_left_alone_is_sent_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "favicon.svg").write_text("<svg/>")
    found = answer(tmp_path / "favicon.svg", accept_encoding="gzip, br")
    assert "content-encoding" not in found.headers


def test_every_form_has_a_tag_of_its_own_with_which_it_is_not_sent_again(script: Path) -> None:
    tags = {answer(script, accept_encoding=coding).headers["etag"] for coding in ("br", "gzip", "")}
    assert len(tags) == 3
    tag = answer(script, accept_encoding="br").headers["etag"]
    again = answer(script, accept_encoding="br", if_none_match=tag)
    assert (again.status_code, again.body, again.headers["etag"], again.headers["vary"]) == (304, b"", tag, "accept-encoding")
    assert answer(script, accept_encoding="gzip", if_none_match=tag).status_code == 200
