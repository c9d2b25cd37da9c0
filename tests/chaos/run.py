"""One schedule on a lane: the workload runs, the faults happen, and then the judge is asked."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from local.servers.postgres import SUPERUSER
from service_kit.settings import PostgresSettings
from tests.chaos import evidence
from tests.chaos.accident import Accident
from tests.chaos.armory import Armory
from tests.chaos.drifts import drift_of, drift_operations
from tests.chaos.execution import Execution
from tests.chaos.judge import Judge, StuckError
from tests.chaos.lane import Lane
from tests.chaos.letters import DeadLetters
from tests.chaos.losses import Loss, loss_operations, possible
from tests.chaos.owner import Owner
from tests.chaos.schedule import Fault, Schedule
from tests.chaos.workers import Ended, Workers
from tests.chaos.workload import plan

FAULT_LIMIT_S = 60.0
REACH_LIMIT_S = 12.0
SLACK_S = 3.0
LOOK_S = 0.1
POINT_KINDS = {"kill-point", "freeze-point"}
Report = Callable[[str], None]


@dataclass
class Result:
    """What became of a schedule; *problems* is empty where it passed."""

    schedule: Schedule
    number: int
    drift: str | None
    loss: str | None
    named: str = ""
    healed_s: float | None = None
    hits: list[tuple[str, str]] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    operations: int = 0
    events: int = 0
    retries: int = 0
    ended: list[Ended] = field(default_factory=list)
    dead_letters: int = 0
    erasures: int = 0
    recovery_s: float | None = None
    seconds: float = 0.0
    verification: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        ended = [{"slot": one.slot, "code": one.code, "asked": one.asked} for one in self.ended]
        schedule = self.schedule.as_json()
        return {"seed": self.schedule.seed, "ok": not self.problems, **asdict(self), "ended": ended, "schedule": schedule}


class Run:
    """*number*: how many schedules ran on this lane before; keeps their data apart. *loss*: takes the place of the source's drift."""

    def __init__(self, lane: Lane, workers: Workers, number: int, schedule: Schedule, report: Report, loss: Loss | None = None) -> None:
        self._lane = lane
        self._workers = workers
        self._schedule = schedule
        self._report = report
        self._judge = Judge(lane.operator_variables())
        self._drift = None if loss else drift_of(schedule.seed)
        self._result = Result(schedule, number, self._drift.name if self._drift else None, loss.name if loss else None)
        seconds = schedule.seconds - 2
        self._plan = plan(schedule.seed, number, seconds)
        if loss:
            self._plan.operations = [*possible(self._plan, loss, seconds), *loss_operations(schedule.seed, loss, seconds)]
        else:
            self._plan.operations += drift_operations(schedule.seed, self._plan, seconds)
        self._accident = Accident(loss, lane, workers, self._plan, self._judge.settings) if loss else None

    def run(self) -> Result:
        began = time.monotonic()
        result, armory = self._result, self._workers.armory
        hits_before, ended_before = len(list(armory.hits())), len(self._workers.ended)
        letters = DeadLetters(self._judge.settings.kafka)
        execution = self._execution()
        try:
            erased_before = self._judge.erasures()
            self._staff()
            execution.start(self._schedule.seconds)
            self._inject(armory)
            execution.finish()
            self._verdict(letters, execution.hidden)
            result.erasures = self._judge.erasures() - erased_before
        except Exception as error:  # whatever it is, it is this schedule's result
            cause = f" ({error.__cause__!r})" if error.__cause__ else ""
            result.problems.append(f"{type(error).__name__}: {error}{cause}")
        finally:
            letters.close()
        result.hits = [(hit.point, hit.action) for hit in list(armory.hits())[hits_before:]]
        result.ended = self._workers.ended[ended_before:]
        result.operations, result.events, result.retries = execution.done, self._plan.events, execution.retries
        if self._accident:
            result.named, result.healed_s = self._accident.named, self._accident.healed_s
        result.seconds = round(time.monotonic() - began, 1)
        return result

    def collect(self, folder: Path) -> None:
        """What is needed to understand a failure."""
        verification = self._result.verification or {}
        keys = [key for kind in ("missing", "surplus") for key in verification.get(kind, {}).get("examples", ())]
        keys += [example for found in verification.get("differences", {}).values() for example in found["examples"]]
        with contextlib.suppress(Exception):  # the failure itself is what matters
            evidence.collect(self._judge.settings, sorted({key["prosthesis_id"] for key in keys}), folder)

    def _execution(self) -> Execution:
        lane, settings = self._lane, self._judge.settings
        signals: PostgresSettings = settings.telemetry_db
        superuser = {database: lane.postgres(database, SUPERUSER) for database in ("crm", "telemetry")}
        owner = Owner(self._plan, superuser, self._judge.sources, settings, self._judge.connect)
        telemetry, crm = lane.postgres("telemetry", "telemetry_ingest"), lane.postgres("crm", "crm_app")
        return Execution(self._plan, telemetry, crm, signals, settings.kafka, owner, self._accident)

    def _staff(self) -> None:
        """As many workers as the schedule wants; those that run from the schedule before go on."""
        self._workers.static = self._schedule.static
        for slot in range(self._schedule.workers):
            self._workers.add(slot)
        for slot in self._workers.wanted - set(range(self._schedule.workers)):
            self._workers.remove(slot)

    # -- faults ---------------------------------------------------------------------------------------------------------

    def _inject(self, armory: Armory) -> None:
        began = time.monotonic()
        threads = []
        for fault in self._schedule.faults:
            time.sleep(max(0.0, began + fault.at_s - time.monotonic()))
            self._report(f"{fault.at_s:5.1f} s  {fault.kind} {fault.target} {fault.seconds or ''}")
            thread = threading.Thread(target=self._carry_out, args=(fault, armory), name=f"fault {fault.kind}", daemon=True)
            thread.start()
            threads.append(thread)
            if fault.kind in POINT_KINDS:
                began += self._reached(fault.target, armory)
        time.sleep(max(0.0, began + self._schedule.seconds - time.monotonic()))
        for thread in threads:
            thread.join(FAULT_LIMIT_S)
        self._calm(armory)

    def _reached(self, point: str, armory: Armory) -> float:
        """Wait for a worker to reach *point*, and say by how much the rest is late now: on a slow machine, faults must not overtake each other."""
        armed = time.monotonic()
        while time.monotonic() - armed < REACH_LIMIT_S:
            time.sleep(LOOK_S)
            if not armory.is_armed(point):
                break
        return max(0.0, time.monotonic() - armed - SLACK_S)

    def _calm(self, armory: Armory) -> None:
        """Everything may run again; what was not reached yet may be while it catches up."""
        self._lane.calm()
        self._workers.calm()
        if not self._workers.wanted:
            self._workers.add(0)
        until = time.monotonic() + REACH_LIMIT_S
        while armory.armed() and time.monotonic() < until:
            time.sleep(LOOK_S)
        self._result.unreached = armory.disarm()
        self._workers.calm()

    def _carry_out(self, fault: Fault, armory: Armory) -> None:
        try:
            self._happen(fault, armory)
        except Exception as error:  # a fault that could not be injected is a problem of the run
            self._result.problems.append(f"{fault}: {type(error).__name__}: {error}")

    def _happen(self, fault: Fault, armory: Armory) -> None:
        match fault.kind:
            case "kill-point":
                armory.arm(fault.target, "kill")
            case "freeze-point":
                self._workers.freeze_s = fault.seconds
                armory.arm(fault.target, "freeze")
            case "kill-server":
                self._lane.kill(fault.target, fault.seconds)
            case "cut":
                self._lane.gates[fault.target].cut()
            case "refuse" | "stall":
                gate = self._lane.gates[fault.target]
                (gate.refuse if fault.kind == "refuse" else gate.stall)()
                time.sleep(fault.seconds)
                gate.open()
            case _:
                self._change_staff(fault)

    def _change_staff(self, fault: Fault) -> None:
        workers, slot = self._workers, int(fault.target)
        present = sorted(workers.wanted)
        there = slot if slot in present else present[0] if present else slot
        match fault.kind:
            case "add-worker":
                workers.add(slot if slot not in present else max(present) + 1)
            case "remove-worker":
                workers.remove(there)
                if not workers.wanted:
                    workers.add(there)  # a deployment: one goes, one comes
            case "kill-worker":
                workers.kill(there)
            case "freeze-worker":
                workers.freeze(there, fault.seconds)
            case "replace-worker":
                workers.replace(there, fault.seconds)
            case unknown:
                raise ValueError(unknown)

    # -- the question ---------------------------------------------------------------------------------------------------

    def _verdict(self, letters: DeadLetters, hidden: Collection[int]) -> None:
        result = self._result
        self._report("calm; waiting for a barrier")
        result.recovery_s = round(self._judge.recovered(), 2)
        first, last = self._plan.days
        verification = self._judge.verification(first.date(), last.date())
        result.verification = verification.as_json()
        if not verification.ok:
            result.problems.append("the mart differs: " + " | ".join(verification.lines()))
        try:
            self._judge.settle()
            self._judge.erased(self._plan.gone)
        except StuckError as error:
            result.problems.append(f"stuck: {error}")
        lost = self._accident is not None and bool(self._accident.loss.heals)
        result.dead_letters, strange = letters.unexplained(self._plan, self._drift, hidden, lost=lost)
        result.problems += strange
