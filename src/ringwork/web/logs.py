"""Log lines for operators: one JSON object a line on stderr, never a person's data.

Facts are events; lines are for what the machine did. No addresses, no headers, no bodies, no URLs
with queries are ever passed here; a processor drops the members that would carry them, should one
slip in.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

FORBIDDEN: Final = frozenset(
    {"authorization", "cookie", "set_cookie", "client", "ip", "email", "body", "headers", "token"}
)
"""Names of members that never reach a line."""


def configure(level: str) -> None:
    """Send structlog and the standard library's loggers through one renderer."""
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_personal,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn.access", "httpx", "httpcore", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def drop_personal(
    logger: Any, method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Remove members that could carry a person's data or a secret."""
    for name in FORBIDDEN & line.keys():
        del line[name]
    return line
