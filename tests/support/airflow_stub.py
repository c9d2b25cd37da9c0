"""As much of ``airflow.sdk`` as the DAG's file uses: tasks are called where they stand, in their order. Airflow itself is not of this environment."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import ModuleType
from typing import Any
from unittest import mock


@contextmanager
def airflow(logical_date: datetime) -> Iterator[None]:
    """Within the block the DAG's file can be run as a script: one run, for *logical_date*."""
    sdk = ModuleType("airflow.sdk")
    sdk.dag = _decorator  # type: ignore[attr-defined]
    sdk.task = _decorator  # type: ignore[attr-defined]
    sdk.get_current_context = lambda: {"logical_date": logical_date}  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, {"airflow": ModuleType("airflow"), "airflow.sdk": sdk}):
        yield


def _decorator(function: Callable[..., Any] | None = None, **_options: Any) -> Any:
    """With or without arguments, as Airflow's."""
    return function if function is not None else _decorator
