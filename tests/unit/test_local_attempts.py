"""What is tried again while the system starts, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from local import commands, steps
from local.attempts import ATTEMPTS, ATTEMPTS_WHILE_AWAY, Failure, failing, until_done
from local.instance import open_instance


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(commands, "pause", made.append)
    return made


def answers(*outcomes: Failure | None) -> Callable[[], Failure | None]:
    left: Iterator[Failure | None] = iter(outcomes)
    return lambda: next(left)


AWAY, REFUSED = Failure("away", away=True), Failure("refused")


def test_a_server_that_does_not_answer_is_waited_for_for_longer_than_one_that_refuses(pauses: list[float]) -> None:
    assert until_done(answers(*[REFUSED] * ATTEMPTS)) is REFUSED
    assert len(pauses) == ATTEMPTS - 1
    pauses.clear()
    assert until_done(answers(*[AWAY] * ATTEMPTS_WHILE_AWAY)) is AWAY
    assert pauses == sorted(pauses)
    assert len(pauses) == ATTEMPTS_WHILE_AWAY - 1
    assert sum(pauses) >= 240


def test_what_works_in_the_end_has_not_failed(pauses: list[float]) -> None:
    assert until_done(answers(AWAY, AWAY, AWAY, AWAY, None)) is None
    assert len(pauses) == 4


def test_what_cannot_help_is_not_tried_again(pauses: list[float]) -> None:
    assert until_done(answers(Failure("bad settings", final=True))) is not None
    assert pauses == []


def test_a_server_that_is_away_is_told_from_one_that_refuses() -> None:
    def fail(error: Exception) -> Failure | None:
        def work() -> None:
            raise error

        return failing(work, psycopg.Error)

    away, refused = fail(psycopg.OperationalError("connection refused")), fail(psycopg.errors.InsufficientPrivilege("no"))
    assert (away and away.away, refused and refused.away) == (True, False)
    assert failing(lambda: None, psycopg.Error) is None


@pytest.mark.parametrize(("code", "times"), [(steps.EXIT_AWAY, ATTEMPTS_WHILE_AWAY), (1, ATTEMPTS), (steps.EXIT_BAD_SETTINGS, 1)])
def test_a_step_is_repeated_by_what_its_exit_code_says(
    code: int, times: int, pauses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, _ = open_instance(tmp_path / "one", usual_ports=False)
    instance.env_file("operator").write_text("")
    runs: list[int] = []
    monkeypatch.setattr(steps, "_logged", lambda *_: (runs.append(code) or code, "last words"))
    with pytest.raises(steps.StepError, match=f"`-c x` ended with {code}: last words"):
        steps.python("-c", "x", env="operator")(instance)
    assert len(runs) == times
