"""What tests of rebuilds and losses need of the ``expendable`` system: its operator, its processor, who serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clickhouse_driver import Client

from local import supervision
from tests.support.operator import WITHOUT, problem_lines, with_processor
from tests.support.processor import until
from tests.support.processor_case import Case
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

PROCESSOR = "processor"


class Site:
    """The system with its processor running under the supervisor, as in ``make up``."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.operator = with_processor(system)
        env = system.instance.env_file
        self.accounts = ("--migrator-env", str(env("migrator")))
        self.rebuild = ("rebuild", "--yes", *self.accounts, "--processor-env", str(env(PROCESSOR)))
        self.auditor = Client(**system.clickhouse.client("auditor"), database="bionicpro")

        self._log_began = len(self.processor_log())

    def close(self) -> None:
        self.auditor.disconnect()

    def repaired(self, case: Case) -> Any:
        """What `repair` says of the days of *case*."""
        return self.operator.json("repair", "--yes", "--from", str(case.first), "--to", str(case.last))

    def states(self) -> dict[int, str]:
        """The state of each generation."""
        return dict(self.auditor.execute("SELECT generation, state FROM generations FINAL"))

    def serving(self) -> int:
        (number,) = (number for number, state in self.states().items() if state == "serving")
        return number

    def problems(self) -> list[str]:
        """What `status` says is wrong, one line each."""
        return problem_lines(self.operator("status", *WITHOUT).output)

    def wait_for_problem(self, *any_of: str, limit_s: float = PATIENCE_S) -> str:
        """Until `status` names one of them; its line."""
        seen: list[str] = []

        def lines() -> list[str]:
            return [line for line in seen if any(what in line for what in any_of)]

        def named() -> bool:
            seen[:] = self.problems()
            return bool(lines())

        until(named, lambda: f"status names {any_of}; it says {seen}", limit_s)
        return lines()[0]

    def wait_until_well(self, limit_s: float = PATIENCE_S) -> None:
        seen: list[str] = []

        def well() -> bool:
            seen[:] = self.problems()
            return not seen

        until(well, lambda: f"all is well; status says {seen}", limit_s)

    def stop_processor(self) -> None:
        supervision.stop_programs(self.system.instance, [PROCESSOR])

    def start_processor(self) -> None:
        supervision.start_programs(self.system.instance, [PROCESSOR])

    def processor_id(self) -> int:
        """The id of its process."""
        pid: int = supervision.state_of(self.system.instance, PROCESSOR).pid
        return pid

    def wait_until_processor_stays_down(self) -> None:
        """Until it has ended and the supervisor leaves it so."""
        until(lambda: supervision.state_of(self.system.instance, PROCESSOR).stays_down, "the processor stays down")

    def processor_log(self) -> str:
        return (self.system.instance.logs / f"{PROCESSOR}.log").read_text(encoding="utf-8", errors="replace")

    def wait_for_log(self, *any_of: str) -> None:
        """Until the processor has said one of these since this object was made."""
        until(lambda: any(text in self.processor_log()[self._log_began :] for text in any_of), f"the processor says {any_of}")

    def migrator(self, work: Callable[[Client], Any]) -> Any:
        """Something done with every right in the tables of the generation that serves."""
        client = Client(**self.system.clickhouse.client("migrator"), database=f"bionicpro_g{self.serving()}")
        try:
            return work(client)
        finally:
            client.disconnect()
