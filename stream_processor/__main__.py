"""``python -m stream_processor``: one worker."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import structlog

from service_kit.logging import configure
from service_kit.settings import load
from stream_processor.adapters.generations import ServingConfiguration, serving_configuration
from stream_processor.ports import StoreUnavailable
from stream_processor.settings import ProcessorSettings


def main(compose: Callable[[ProcessorSettings, ServingConfiguration, Any], Any] | None = None) -> None:
    """*compose* makes the application; the tests' own puts kill points between its effects."""
    settings = load(ProcessorSettings)
    configure("processor", settings.log)
    settings.processor.data_dir.mkdir(parents=True, exist_ok=True)
    # After logging is set up: Faust configures its own on import of an app.
    from stream_processor.app import Processor, Topics  # noqa: PLC0415
    from stream_processor.ending import EXIT_AGAIN  # noqa: PLC0415

    try:
        serving = serving_configuration(settings.clickhouse, settings.processor.generation)
    except StoreUnavailable as error:
        structlog.get_logger().critical("cannot ask which generation to write; ending, to be started again", error=str(error))
        sys.exit(EXIT_AGAIN)
    _collect_rarely()
    processor = (compose or Processor)(settings, serving, Topics.found(settings.kafka))
    worker = processor.app.Worker(loglevel=settings.log.level, logging_config=None, override_logging=False, redirect_stdouts=False)
    worker.execute_from_commandline()


def _collect_rarely() -> None:
    """A batch makes hundreds of thousands of short-lived objects without cycles: Python's own thresholds would look through them hundreds of times."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


if __name__ == "__main__":
    main()
