"""How often connectors look for changes is a setting; all else is what their files say."""

from __future__ import annotations

import pytest

from connectors.apply import read_connectors, wanted_connectors
from service_kit.settings import EXIT_BAD_SETTINGS

NAME = "BIONICPRO_CAPTURE__POLL_INTERVAL_MS"


def test_without_the_setting_connectors_are_as_their_files_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    assert wanted_connectors() == read_connectors()


def test_the_setting_changes_how_often_each_looks_for_changes_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "50")
    for wanted, written in zip(wanted_connectors(), read_connectors(), strict=True):
        assert wanted.config == {**written.config, "poll.interval.ms": "50"}


@pytest.mark.parametrize("value", ["0", "1001", "often"])
def test_an_interval_that_is_none_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(SystemExit) as ended:
        wanted_connectors()
    assert ended.value.code == EXIT_BAD_SETTINGS
    assert NAME in capsys.readouterr().err
