"""``ringwork trace``: the chain of events of one request."""

from __future__ import annotations

from typing import Any

from ringwork.app.call import call
from ringwork.cli.common import DEFAULTS, Options, answer_of
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ids import parse_id


def trace(request_id: str, /, *, common: Options = DEFAULTS) -> None:
    """Show what a request caused, as a tree.

    Example: ringwork trace 019acf2e-8a40-7e21-9c04-5b0c33d1f0aa

    Parameters
    ----------
    request_id: The x-request-id of the answer.
    """
    try:
        parse_id(request_id)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    found = answer_of(call(common.settings(), "GET", f"/v1/traces/{request_id}"))
    common.show(found, "\n".join(_lines(found["roots"], "")))


def _lines(nodes: list[dict[str, Any]], indent: str) -> list[str]:
    lines: list[str] = []
    for node in nodes:
        event = node["event"]
        lines.append(f"{indent}{event['seq']:>10}  {event['type']}  {_short(event['payload'])}")
        lines += _lines(node["caused"], indent + "    ")
    return lines


def _short(payload: dict[str, Any]) -> str:
    shown = {k: v for k, v in payload.items() if v and not isinstance(v, dict | list)}
    return " ".join(f"{name}={value}" for name, value in shown.items())
