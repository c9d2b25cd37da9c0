"""No commit is sent while the group is joined anew.

A broker answers the requests of a connection one after the other, and JoinGroup only when all other members have come too, seconds later. A commit behind it is then one of a generation that is over.
aiokafka takes that answer for the end of its membership, also of the new one that it has just been given: it joins again, while the next commit waits behind that JoinGroup. So a group of two workers was shared out anew
every few seconds for as long as there was something to commit, and hardly a batch was acknowledged (seed 78 of `make chaos`). librdkafka had the same fault (confluentinc/librdkafka#4908).
"""

from __future__ import annotations

from typing import Any

from aiokafka.errors import RebalanceInProgressError


def install(consumer: Any) -> None:
    """Refuse commits of *consumer*, which was started just now, from the revocation of its partitions until it is given new ones: ``commit`` raises CommitFailedError."""
    coordinator, subscription = consumer._coordinator, consumer._subscription
    send = coordinator._do_commit_offsets

    async def commit(assignment: Any, offsets: Any) -> None:
        if subscription.reassignment_in_progress:
            raise RebalanceInProgressError(coordinator.group_id)
        await send(assignment, offsets)

    coordinator._do_commit_offsets = commit
