"""The fast lane's endpoints in the OpenAPI document: they are no framework's handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ringwork.ads.http_native import AdAnswer, AdRequest

LANE_TYPES: Final = (AdRequest, AdAnswer)
"""Structs whose schemas the document takes from msgspec."""

_PROBLEM: Final = {
    "description": "A refusal",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_TOKEN: Final = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "as it stands in the markup of an ad",
    "schema": {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"},
}


_BID_REQUEST: Final = {
    "type": "object",
    "description": "OpenRTB 2.6; here the least of it. Members that are not known are ignored.",
    "required": ["id", "imp"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "imp": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["id", "banner"],
                "properties": {
                    "id": {"type": "string", "minLength": 1},
                    "banner": {
                        "type": "object",
                        "required": ["w", "h"],
                        "properties": {
                            "w": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
                            "h": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
                        },
                    },
                },
            },
        },
    },
}


def _operation(
    id: str,
    summary: str,
    responses: Mapping[str, object],
    *,
    body: Mapping[str, object] | None = None,
    token: bool = False,
    open_to_all: bool = False,
) -> dict[str, object]:
    operation: dict[str, object] = {
        "operationId": id,
        "summary": summary,
        "responses": {**responses, "default": _PROBLEM},
    }
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    if token:
        operation["parameters"] = [_TOKEN]
    if open_to_all:
        operation["security"] = []
    elif body is not None:
        operation["security"] = [{"key": []}, {}]  # loopback and registered origins need none
    return operation


LANE_PATHS: Final[Mapping[str, object]] = {
    "/openrtb2/auction": {
        "post": _operation(
            "OpenrtbAuction",
            "Ask for bids (OpenRTB 2.6)",
            {
                "200": {
                    "description": "Bids",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                },
                "204": {
                    "description": "No bid",
                    "headers": {
                        "x-ringwork-no-bid": {
                            "description": "why not",
                            "schema": {"type": "string"},
                        }
                    },
                },
                "400": _PROBLEM,
            },
            body=_BID_REQUEST,
        )
    },
    "/v1/ads/request": {
        "post": _operation(
            "AdsRequest",
            "Ask for a placement's ad",
            {
                "200": {
                    "description": "The ads; none is an empty list",
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/AdAnswer"}}
                    },
                },
                "422": _PROBLEM,
            },
            body={"$ref": "#/components/schemas/AdRequest"},
        )
    },
    "/vast/{placement}": {
        "get": {
            **_operation(
                "VastTag",
                "Ask for a video or audio placement's ads as a VAST document",
                {
                    "200": {
                        "description": "VAST 4.2; without an ad where nothing was sold",
                        "content": {"application/xml": {"schema": {"type": "string"}}},
                    },
                    "404": _PROBLEM,
                    "422": _PROBLEM,
                },
            ),
            "security": [{"key": []}, {}],  # loopback and registered origins need none
            "parameters": [
                {
                    "name": "placement",
                    "in": "path",
                    "required": True,
                    "schema": {
                        "type": "string",
                        "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$",
                    },
                },
                *(
                    {
                        "name": name,
                        "in": "query",
                        "description": description,
                        "schema": {"type": "string"},
                    }
                    for name, description in (
                        ("url", "of the page"),
                        ("visit", "the page's own key of the visit, for frequency caps"),
                        ("region", "a country (ISO 3166-1 alpha-3) or its subdivision"),
                        ("device_type", "phone, tablet, computer, tv or other"),
                        ("category", "what the page is about; repeatable"),
                    )
                ),
            ],
        }
    },
    "/b/{token}": {
        "get": _operation(
            "Beacon",
            "Report an impression",
            {"204": {"description": "Genuine: first, repeated or late"}, "404": _PROBLEM},
            token=True,
            open_to_all=True,
        )
    },
    "/v/{token}": {
        "get": _operation(
            "Viewable",
            "Report that an impression was viewable",
            {"204": {"description": "Genuine: first, repeated or late"}, "404": _PROBLEM},
            token=True,
            open_to_all=True,
        )
    },
    "/w/{token}": {
        "get": _operation(
            "Viewed",
            "Report that a video or audio ad was played to its end",
            {"204": {"description": "Genuine: first, repeated or late"}, "404": _PROBLEM},
            token=True,
            open_to_all=True,
        )
    },
    "/c/{token}": {
        "get": _operation(
            "Click",
            "Follow a click to the advertiser",
            {
                "302": {"description": "To the creative's landing page"},
                "204": {"description": "The click of a test request"},
                "404": _PROBLEM,
            },
            token=True,
            open_to_all=True,
        )
    },
    "/n/{token}": {
        "get": _operation(
            "BidWon",
            "An exchange reports that a bid has won (nurl); counts nothing",
            {"204": {"description": "Genuine: first, repeated or late"}, "404": _PROBLEM},
            token=True,
            open_to_all=True,
        )
    },
    "/l/{token}": {
        "get": _operation(
            "BidLost",
            "An exchange reports that a bid has lost, and why (lurl)",
            {"204": {"description": "Genuine: first, repeated or late"}, "404": _PROBLEM},
            token=True,
            open_to_all=True,
        )
    },
    "/ringwork.js": {
        "get": _operation(
            "Tag",
            "The script that fills a page's placements",
            {"200": {"description": "JavaScript", "content": {"text/javascript": {}}}},
            open_to_all=True,
        )
    },
    "/ringworkBidAdapter.js": {
        "get": _operation(
            "BidAdapter",
            "The module by which a Prebid.js build asks this server for bids",
            {"200": {"description": "JavaScript", "content": {"text/javascript": {}}}},
            open_to_all=True,
        )
    },
}
"""Path -> operations, to be merged into the document."""
