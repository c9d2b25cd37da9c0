"""Data of another Kafka than the one of now are not started on: it would end with a stack trace, again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.instance import Instance
from local.servers import kafka

pytestmark = pytest.mark.unit


def test_data_that_kafka_4_3_wrote_are_refused_with_the_way_on(tmp_path: Path) -> None:
    instance = Instance(tmp_path, {"kafka": 1, "kafka_controller": 2}, {})
    instance.data("kafka").mkdir(parents=True)
    instance.config("").mkdir()
    (instance.data("kafka") / "meta.properties").touch()
    with pytest.raises(RuntimeError, match="make reset"):
        kafka.prepare(instance)
    instance.config(kafka.OLDER).touch()
    kafka.prepare(instance)
