"""Where a rebuild begins: the plan of a new one, or that of one that an earlier run left."""

from __future__ import annotations

from cli.broker import Broker
from cli.rebuild import progress as plans
from cli.rebuild.progress import Plan, RebuildError
from cli.rebuild.tables import Tables
from clickhouse.migrator import Migrator
from connectors.checks import Checks
from connectors.contract import NEW_POSITIONS
from schemas.generations import BUILDING, SERVING
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.topics import catalogue
from service_kit.clickhouse import connected
from service_kit.settings import ClickHouseSettings


def unfinished(migrator: Migrator) -> tuple[int, Plan] | None:
    """The generation and the plan of a rebuild that was not finished, if there is one."""
    for one in migrator.generations():
        plan = plans.decode(one.detail) if one.state in {BUILDING, SERVING} else None
        if plan is not None and plan.step != "done":
            return one.number, plan
    return None


def begin(migrator: Migrator, account: ClickHouseSettings, broker: Broker, source: str | None) -> tuple[int, Plan]:
    """Decide what a new generation is to be filled from. Changes nothing. Raises RebuildError where there is nothing to begin with."""
    found = migrator.generations()
    old = max((one.number for one in found if one.state == SERVING), default=None)
    if old is None:
        raise RebuildError("no generation is served yet: `bionicpro schema migrate`")
    topics = broker.topics([LOG_TOPIC, CRM_TOPIC])
    if missing := {LOG_TOPIC, CRM_TOPIC} - topics.keys():
        raise RebuildError(f"topic {', '.join(sorted(missing))} does not exist: `bionicpro topics apply`")
    for name, topic in topics.items():
        if len(topic.ends) != (wanted := catalogue()[name].partitions):
            raise RebuildError(
                f"topic {name} has {len(topic.ends)} partitions, the catalogue says {wanted}, and keys lie by that number: stop the workers, delete the topic"
                f" (PostgreSQL has all that is in it), `bionicpro topics apply`, then start the rebuild again"
            )
    new = max(one.number for one in found) + 1
    tables = Tables(account, old, new)
    try:
        return new, plans.begin(old, tables.positions(), topics, source, _another_server(account, old))
    finally:
        tables.close()


def _another_server(account: ClickHouseSettings, old: int) -> str | None:
    """What the watch says of a source that is not the server that *old* was filled from; None where it says nothing of the kind."""
    with connected(account, account.database) as client:
        checks = Checks(client).last(old)
    return next((finding.what for check in checks.values() for finding in check.findings if finding.do == NEW_POSITIONS), None)
