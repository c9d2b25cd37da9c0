"""The ``Cookie`` header, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.cookie_header import AmbiguousCookiesError, are_too_large, fill_head, ours, pairs

PREFIX = "__Host-bionicpro-"
NAME = b"__Host-bionicpro-session"


def line(value: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"cookie", value)]


@pytest.mark.parametrize(
    "value",
    [
        NAME + b"=v",
        b"a=b; " + NAME + b"=v; c",
        b"\t" + NAME + b" =\tv ;",
        b"x;;=;" + NAME + b"=v",
        b"x" + NAME + b"=other; " + NAME + b"=v",
        b"\xa0=1;" + NAME + b"=v",
    ],
)
def test_our_cookie_is_found_among_others(value: bytes) -> None:
    assert ours(line(value), PREFIX) == {NAME.decode(): "v"}


@pytest.mark.parametrize(
    "value",
    [
        *(before + NAME + b"=v" for before in (b"\xa0", b"\x85", b"\xe2\x80\x80", b"\xef\xbb\xbf", b'"', b"\x0b", b"\x1c", b"(")),
        *(NAME + after + b"=v" for after in (b"\xa0", b"\x85", b'"', b" x", b"\xe3\x80\x80")),
        NAME[:4] + b"\xad" + NAME[4:] + b"=v",
        NAME + b"=v; " + NAME + b"=w",
        NAME + b"=v; \xa0" + NAME + b"=w",
        b"__Host-bionicpro-login-1=v;__Host-bionicpro-login-1=v",
    ],
)
def test_a_name_with_other_bytes_around_or_twice_is_refused(value: bytes) -> None:
    with pytest.raises(AmbiguousCookiesError):
        ours(line(value), PREFIX)


def test_a_name_twice_on_two_lines_is_refused() -> None:
    with pytest.raises(AmbiguousCookiesError):
        ours([*line(NAME + b"=v"), (b"Cookie", NAME + b"=w")], PREFIX)


@given(st.binary(max_size=80))
def test_whatever_comes_is_read_or_refused_and_no_name_is_ours_but_by_its_exact_bytes(value: bytes) -> None:
    found = pairs(line(value))
    try:
        mine = ours(line(value + b"; " + NAME + b"=v"), PREFIX)
    except AmbiguousCookiesError:
        return
    assert mine[NAME.decode()] == "v"
    assert all(not name.startswith(NAME) for name, _ in found)


def test_only_cookies_that_make_a_head_too_large_are_to_be_forgotten() -> None:
    large, small = b"x" * 200, b"x"
    assert are_too_large([(b"host", small), (b"cookie", large)], 100)
    assert not are_too_large([(b"host", small), (b"cookie", small)], 100)
    assert not are_too_large([(b"referer", large), (b"cookie", small)], 100)
    assert not are_too_large([(b"referer", large), (b"cookie", large)], 100)
    assert fill_head(b"GET / HTTP/1.1\r\nHost: x\r\ncookie: a=" + large, 100)
    assert not fill_head(b"GET /" + large + b" HTTP/1.1\r\nCookie: a=b", 100)
    assert not fill_head(b"GET / HTTP/1.1\r\nX: " + large, 100)
