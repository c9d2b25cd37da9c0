"""Parts are asked at once, each within the deadline."""

from __future__ import annotations

import threading

from cli.status.gather import gather
from cli.status.readings import DeadLetters, Reading, Unreachable


def test_a_part_that_hangs_or_fails_is_down_and_the_others_answer() -> None:
    release = threading.Event()

    def hangs() -> Reading:
        release.wait(30)
        return DeadLetters(0, 0, {})

    def fails() -> Reading:
        raise ConnectionRefusedError("refused\nand more")

    answer = DeadLetters(1, 1, {"x": 1})
    readings = gather({"a": ("here", hangs), "b": ("there", fails), "c": ("", lambda: answer)}, deadline_s=0.2)
    release.set()
    assert readings["a"] == Unreachable("here", "no answer within 0.2 s")
    assert readings["b"] == Unreachable("there", "ConnectionRefusedError: refused")
    assert readings["c"] == answer
    assert list(readings) == ["a", "b", "c"]


def test_a_part_that_is_left_out_is_not_asked() -> None:
    asked = []
    probes = {"a": ("", lambda: asked.append("a") or DeadLetters(0, 0, {})), "b": ("", lambda: DeadLetters(0, 0, {}))}
    assert list(gather(probes, 1.0, ["a"])) == ["b"]
    assert asked == []
