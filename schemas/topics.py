"""The topic catalogue: every topic of the pipeline as a file of ``schemas/topics/``.

The files are the truth; ``bionicpro topics apply`` makes the broker agree with them and nothing else creates topics.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import yaml

from schemas.keys import LOG_TOPIC

CATALOGUE = Path(__file__).parent / "topics"


class CatalogueError(ValueError):
    """A file of the catalogue cannot be read; the message names the file."""


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One topic. ``config`` holds Kafka's topic settings (``retention.ms`` in milliseconds, …) as text, the way brokers report them.

    ``examples`` is a folder of the repository with one real record a file, or None where values are not ours to define.
    """

    name: str
    description: str
    partitions: int
    key: str
    value: str
    config: dict[str, str]
    owner: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    examples: str | None = None


def read_topic(path: Path) -> Topic:
    """The topic that *path* describes. Raises CatalogueError where the file is no valid description or its name is another topic's."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        topic = msgspec.convert(_with_text_config(document), Topic)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise CatalogueError(f"{path.name}: {error}") from error
    if path.stem != topic.name:
        raise CatalogueError(f"{path.name}: describes {topic.name!r}; name the file {topic.name}.yaml")
    if topic.partitions < 1:
        raise CatalogueError(f"{path.name}: partitions must be at least 1, not {topic.partitions}")
    return topic


def read_catalogue(folder: Path) -> dict[str, Topic]:
    """All topics of *folder* by name, in the order of their names."""
    topics = [read_topic(path) for path in sorted(folder.glob("*.yaml"))]
    if not topics:
        raise CatalogueError(f"{folder}: no topic is described there")
    return {topic.name: topic for topic in topics}


@cache
def catalogue() -> dict[str, Topic]:
    """The project's topics by name."""
    return read_catalogue(CATALOGUE)


def log_partitions() -> int:
    """How many partitions ``prosthesis.log`` has, by the catalogue."""
    return catalogue()[LOG_TOPIC].partitions


def _with_text_config(document: object) -> object:
    """Kafka's settings are text; YAML reads numbers and booleans in them, so write them as Kafka does."""
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        return document
    config = {str(name): str(value).lower() if isinstance(value, bool) else str(value) for name, value in document["config"].items()}
    return document | {"config": config}
