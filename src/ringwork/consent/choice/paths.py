"""The choice page's lanes in the OpenAPI document: they are no framework's handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ringwork.web.openapi import problem_response

_HTML: Final = {"description": "A page", "content": {"text/html": {}}}
_VISIT: Final = [
    {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
    for name, text, schema in (
        ("publisher", "whose page it is", {"type": "string", "maxLength": 64}),
        (
            "person",
            "a random id that is its own key",
            {"type": "string", "pattern": "^(r\\.[A-Za-z0-9_-]{22,64})?$"},
        ),
        ("link", "of `POST /v1/choice/links`, instead of both", {"type": "string"}),
        ("site", "of the publisher's, for plans", {"type": "string", "maxLength": 64}),
        ("locale", "of the words; else as the browser asks", {"type": "string", "maxLength": 35}),
        ("region", "for the price", {"type": "string", "pattern": "^([A-Z]{2})?$"}),
        ("channel", "for the price", {"enum": ["web", "ios", "android"]}),
        ("return_to", "on an origin of the publisher", {"type": "string", "maxLength": 2048}),
        ("subscribe_to", "where one pays; likewise", {"type": "string", "maxLength": 2048}),
        ("origin", "of the page around a frame", {"type": "string", "maxLength": 300}),
        ("kept", "what the device alone remembers", {"enum": ["", "less"]}),
        ("ink", "colour of the text", {"type": "string", "pattern": "^([0-9a-fA-F]{6})?$"}),
        ("paper", "colour behind it", {"type": "string", "pattern": "^([0-9a-fA-F]{6})?$"}),
    )
]
_STANDPOINT: Final = {
    "type": "object",
    "required": ["choice", "ask", "until_ms"],
    "properties": {
        "choice": {"enum": ["subscribe", "personalised", "less", "undecided"]},
        "ask": {"type": "boolean", "description": "whether the page may ask now"},
        "until_ms": {"type": "integer", "description": "asked again from then on; -1: never"},
        "signals": {"type": "object", "description": "for ad requests, where strings are made"},
    },
}
_FORM: Final = {
    "type": "object",
    "required": ["ticket", "choice"],
    "properties": {
        "ticket": {"type": "string", "description": "as it stands in the form"},
        "choice": {"type": "string", "description": "an option, or `withdraw-` and a purpose"},
    },
}


def _operation(
    id: str, summary: str, answers: Mapping[str, object], *, visit: bool = True
) -> dict[str, object]:
    refusals = {
        "403": problem_response("Not from here, or too old"),
        "404": problem_response("No such publisher"),
        "422": problem_response("Not valid"),
    }
    return {
        "operationId": id,
        "summary": summary,
        "parameters": _VISIT if visit else [],
        "security": [],
        "responses": {**answers, **refusals, "default": problem_response("Any other refusal")},
    }


CHOICE_PATHS: Final[Mapping[str, object]] = {
    "/choice": {
        "get": _operation("Choice", "Asks how a person wants to see ads", {"200": _HTML}),
        "post": {
            **_operation(
                "TakeChoice",
                "Takes every button of the choice page",
                {
                    "303": {"description": "Recorded; back to the publisher or to what holds"},
                    "409": problem_response("Refused by a rule"),
                    "415": problem_response("Not a form"),
                },
                visit=False,
            ),
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": _FORM}},
            },
        },
    },
    "/choice/embed": {
        "get": _operation("EmbeddedChoice", "The same in a frame", {"200": _HTML}),
    },
    "/choice/mine": {
        "get": _operation(
            "MyChoice", "What a person chose, and the way to change it", {"200": _HTML}
        ),
    },
    "/choice/mine-embed": {
        "get": _operation("MyEmbeddedChoice", "The same in a frame", {"200": _HTML}),
    },
    "/choice/state": {
        "get": _operation(
            "ChoiceState",
            "Where a person stands, for the publisher's page",
            {
                "200": {
                    "description": "The choice and whether to ask",
                    "content": {"application/json": {"schema": _STANDPOINT}},
                }
            },
        ),
    },
    "/ringwork-consent.js": {
        "get": _operation(
            "ConsentTag",
            "The script that asks on a publisher's page and answers `__tcfapi` and `__gpp`",
            {"200": {"description": "JavaScript", "content": {"text/javascript": {}}}},
            visit=False,
        ),
    },
}
"""Path -> operations, to be merged into the document."""
