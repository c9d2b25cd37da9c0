"""Where PostgreSQL's data lie outside a folder that its account cannot enter: what a deleted clone left there is neither used nor deleted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import paths
from local.servers import postgres


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(paths, "ROOT_DATA", tmp_path / "var")
    monkeypatch.setattr(paths, "enterable_by_others", lambda _: False)
    monkeypatch.setattr(paths, "let_others_enter", lambda _: None)
    monkeypatch.setattr(postgres, "account", lambda: "somebody")
    (tmp_path / "data").mkdir()
    return SimpleNamespace(identifier="abc", data=lambda name: tmp_path / "data" / name)


def test_a_clone_in_the_place_of_a_deleted_one_begins_empty_and_the_former_data_are_kept(instance: Any, tmp_path: Path) -> None:
    place = postgres.data_directory(instance)
    (place / "PG_VERSION").write_text("16")
    assert postgres.data_directory(instance) == place, "the instance that made it finds it again"
    instance.data("postgres").unlink()  # with the clone
    assert list(postgres.data_directory(instance).iterdir()) == []
    (kept,) = (tmp_path / "var" / "abc").glob("postgres-of-a-deleted-clone-*")
    assert (kept / "PG_VERSION").read_text() == "16"
