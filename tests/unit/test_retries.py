"""Retries: pauses grow and differ, errors that time does not help are raised at once, and there is an end."""

from __future__ import annotations

import pytest

from service_kit.retries import MOST_JITTER, BackOff, Policy, pause_s, retrying, retrying_async


class AwayError(Exception):
    """What passes."""


class Server:
    """Fails so often, then answers."""

    def __init__(self, failures: int, error: type[Exception] = AwayError) -> None:
        self.failures = failures
        self.error = error
        self.asked = 0

    def ask(self) -> str:
        self.asked += 1
        if self.asked <= self.failures:
            raise self.error
        return "answer"

    async def ask_async(self) -> str:
        return self.ask()


def is_away(error: BaseException) -> bool:
    return isinstance(error, AwayError)


def test_pauses_double_to_their_bound_and_no_two_programs_pause_alike() -> None:
    for failures, least in ((1, 0.5), (2, 1.0), (3, 2.0), (9, 8.0), (10_000, 8.0)):
        pauses = {pause_s(failures, 0.5, 8.0) for _ in range(50)}
        assert len(pauses) > 1
        assert all(least <= pause <= least * (1 + MOST_JITTER) for pause in pauses)


async def test_what_passes_is_tried_again_and_told() -> None:
    told: list[float] = []
    slept: list[float] = []
    again = retrying(Policy(1, 8, attempts=5), when=is_away, sleep=slept.append, before_pause=lambda _, pause: told.append(pause))
    assert again(Server(3).ask) == "answer"
    assert told == slept
    assert [round(pause / (1 + MOST_JITTER)) <= least <= pause for pause, least in zip(slept, (1, 2, 4), strict=True)] == [True] * 3
    assert await retrying_async(Policy(0.001, 0.001, attempts=3), when=is_away)(Server(2).ask_async) == "answer"


def test_what_does_not_pass_is_raised_at_once() -> None:
    server = Server(3, KeyError)
    with pytest.raises(KeyError):
        retrying(Policy(1, 8, attempts=5), when=is_away)(server.ask)
    assert server.asked == 1


def test_attempts_and_time_end_and_the_last_error_is_raised() -> None:
    server = Server(100)
    with pytest.raises(AwayError):
        retrying(Policy(1, 8, attempts=4), when=is_away, sleep=lambda _: None)(server.ask)
    assert server.asked == 4
    with pytest.raises(AwayError):
        # The first pause would end too late already.
        retrying(Policy(3600, 3600, within_s=60), when=is_away)(Server(100).ask)
    with pytest.raises(ValueError, match="a retry has an end"):
        Policy(1, 8)


def test_a_loop_backs_off_counts_failures_of_one_cause_once_and_begins_anew_after_a_success() -> None:
    now = [100.0]
    back_off = BackOff(first_s=0.1, most_s=5, clock=lambda: now[0])
    assert {round(back_off.failed(), 9) for _ in range(10)} == {round(back_off.remaining_s(), 9)}
    pauses = []
    for _ in range(8):
        now[0] += back_off.remaining_s() + 1e-6
        pauses.append(back_off.failed())
    assert pauses[0] < 0.3
    assert 5 <= pauses[-1] <= 5 * (1 + MOST_JITTER)
    assert back_off.failing_s() == pytest.approx(now[0] - 100)
    back_off.succeeded()
    assert (back_off.remaining_s(), back_off.failing_s()) == (0, 0)
