"""Connectors made from a mapping: the demo's files are what its mapping gives, and another schema's name nothing of the demo's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from connectors.apply import FOLDER, Connector, read_connectors
from connectors.generate import generate, text_of
from schemas.mapping import SourceMapping

CLINIC = Path(__file__).parents[1] / "support" / "clinic" / "mapping.yaml"
TEMPLATES = {connector.name: connector for connector in read_connectors()}


def of_clinic(name: str) -> Connector:
    return generate(TEMPLATES[name], SourceMapping.read(CLINIC))


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_demos_files_are_what_its_mapping_gives(name: str) -> None:
    made = text_of(generate(TEMPLATES[name], SourceMapping.read()))
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == made


@pytest.mark.parametrize("name", TEMPLATES)
def test_another_source_is_captured_by_its_own_names(name: str) -> None:
    own = {key: value for key, value in of_clinic(name).config.items() if not key.startswith(("slot", "publication", "database"))}
    said = "\n".join(own.values())
    for word in ("telemetry_events", "pipeline_heartbeats", "prosthesis_id", "crm\\.customers", "user_id"):
        assert word not in said


def test_every_captured_column_is_one_that_the_mapping_names() -> None:
    patterns = of_clinic("crm").config["column.include.list"].split(",")
    assert any(re.fullmatch(pattern, "sales.patients.email") for pattern in patterns)
    assert not any(re.fullmatch(pattern, "sales.patients.phone") for pattern in patterns)
    assert any(re.fullmatch(pattern, "sales.debezium_signals.data") for pattern in patterns)


def test_tables_of_two_schemas_go_to_one_topic() -> None:
    mapping = SourceMapping.read(CLINIC)
    crm = mapping.crm.model_copy(update={"heartbeats": mapping.crm.heartbeats.model_copy(update={"table": "pulse.beats"})})
    regex = generate(TEMPLATES["crm"], mapping.model_copy(update={"crm": crm})).config["transforms.route.regex"]
    assert all(re.fullmatch(regex, topic) for topic in ("crm.sales.patients", "crm.pulse.beats"))


def test_the_command_writes_files_that_apply_reads(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["connectors", "generate", str(CLINIC), "--into", str(tmp_path / "made")])
    assert told.exit_code == 0, told.output
    assert {made.name: made.config for made in read_connectors(tmp_path / "made")} == {name: of_clinic(name).config for name in TEMPLATES}
