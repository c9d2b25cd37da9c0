"""Structured logs: one JSON object a line (or coloured text on a terminal), never a token, never personal data."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import PurePath

import structlog

from service_kit.settings import LogSettings


def configure(service: str, settings: LogSettings) -> None:
    """Send structlog's and the standard library's records through one renderer to standard error. Call once, in the entry point."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if settings.format == "json" else structlog.dev.ConsoleRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=settings.level, force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level]),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


FRAMES_SHOWN = 12


def fault(error: BaseException) -> dict[str, object]:
    """What a log may say of an *error* that nobody foresaw: its type and where it arose. Its message may quote a person's data, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_SHOWN:]
    return {"error": type(error).__name__, "at": [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]}
