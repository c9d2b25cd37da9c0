"""What starts is waited for as long as it moves, whatever the clock says."""

import os
import sys
import threading
from pathlib import Path

import pytest

from local import commands, supervision
from local.progress import MOST_RESTARTS, STILL_S, WHOLE_S, Patience, Sign, sign
from tests.support.waiting import PATIENCE_S


def told(signs: dict[float, Sign]) -> list[str | None]:
    patience = Patience(0.0)
    return [patience.exhausted(now, seen) for now, seen in signs.items()]


def test_a_program_that_computes_is_waited_for_beyond_every_window() -> None:
    assert told({n * STILL_S: Sign(busy_s=n * STILL_S * 0.5, written=0, pid=1) for n in range(1, 20)}) == [None] * 19


def test_a_program_that_only_waits_for_its_turn_is_waited_for() -> None:
    # 'busy' counts the time in the run queue: at a load of a hundred hardly anything of it is computing.
    assert told({STILL_S: Sign(busy_s=STILL_S * 0.9, written=0, pid=1)}) == [None]


def test_a_program_that_writes_is_waited_for() -> None:
    assert told({n * STILL_S: Sign(busy_s=0, written=n, pid=1) for n in range(1, 9)}) == [None] * 8


def test_an_idle_program_is_given_up_after_one_window() -> None:
    before, after = told({STILL_S - 1: Sign(0, 0, 1), STILL_S: Sign(STILL_S * 0.01, 0, 1)})
    assert before is None
    assert after == f"did nothing for {STILL_S:.0f} s"


def test_a_program_that_ends_again_and_again_is_given_up() -> None:
    assert told({float(pid): Sign(0, pid, pid) for pid in range(1, MOST_RESTARTS + 2)})[-1] == f"ended {MOST_RESTARTS} times"


def test_nothing_is_waited_for_without_end() -> None:
    assert told({n * STILL_S: Sign(n * STILL_S, n, 1) for n in range(1, int(WHOLE_S / STILL_S) + 2)})[-1] is not None


def test_what_a_program_and_its_children_compute_is_counted(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("four")
    seen = sign(os.getpid(), [tmp_path / "log", tmp_path / "absent"])
    assert seen.busy_s > 0
    assert seen.written == 4
    assert sign(0, []) == Sign(0, 0, 0)


def test_a_command_gives_its_output_and_code() -> None:
    finished = commands.run([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"])
    assert (finished.returncode, finished.stdout, finished.stderr) == (3, "out\n", "err\n")


def test_a_command_is_ended_at_once_with_all_that_it_started_when_everything_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_stopping", threading.Event())
    child = tmp_path / "child"
    script = f"sleep 600 & echo $! > {child}; wait"
    threading.Thread(target=lambda: (_until(child), commands.stop_all())).start()
    with pytest.raises(commands.StoppedError):
        commands.run(["sh", "-c", script])
    assert supervision.wait_until(lambda: not supervision.alive(int(child.read_text())), PATIENCE_S)
    with pytest.raises(commands.StoppedError):
        commands.run(["true"])


def _until(file: Path) -> None:
    while not (file.exists() and file.read_text().strip()):
        threading.Event().wait(0.01)
