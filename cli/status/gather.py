"""Runs all probes at once, each within the deadline: one part that is down or hangs hides no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping

from cli.status.judge import contradicts
from cli.status.probes import Probe
from cli.status.readings import Reading, Readings, Unreachable


def gather(probes: Mapping[str, tuple[str, Probe]], deadline_s: float, without: Collection[str] = ()) -> Readings:
    """What every part but those of *without* says, in the order of *probes*, within *deadline_s* seconds."""
    asked = {part: probe for part, probe in probes.items() if part not in without}
    readings = _at_once(asked, deadline_s)
    if contradicts(readings) and "kafka" in asked:
        # The log may simply have grown between the two answers; if it has not, a second answer says the same.
        readings |= _at_once({"kafka": asked["kafka"]}, deadline_s)
    return readings


def _at_once(probes: Mapping[str, tuple[str, Probe]], deadline_s: float) -> dict[str, Reading]:
    answers: dict[str, Reading] = {}
    # Daemons: a client library that does not honour its own time-out must not keep the command from ending.
    threads = [
        threading.Thread(target=_ask, args=(answers, part, where, probe), name=f"status {part}", daemon=True)
        for part, (where, probe) in probes.items()
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + deadline_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    late = f"no answer within {deadline_s:g} s"
    return {part: answers.get(part) or Unreachable(where, late) for part, (where, _) in probes.items()}


def _ask(answers: dict[str, Reading], part: str, where: str, probe: Probe) -> None:
    try:
        answers[part] = probe()
    except Exception as error:
        # Whatever a broken world makes a client raise: it is what status has to tell.
        answers[part] = Unreachable(where, one_line(error))


def one_line(error: BaseException) -> str:
    """The first line of what *error* says, with its type where the text alone says little."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
