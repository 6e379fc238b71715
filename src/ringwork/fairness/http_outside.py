"""Special ads of other platforms over HTTP; the auction's question on the fast lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from litestar import Response, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.fairness.outside import (
    Auction,
    FairAd,
    ImpressionsTaken,
    NewFairAd,
    Outside,
    ToldImpressions,
)
from ringwork.kernel.journal import Command, Journal
from ringwork.web.app import HttpRequest, principal_of, run_command
from ringwork.web.auth import needs, require
from ringwork.web.execute import Executor
from ringwork.web.keys import ApiKeys
from ringwork.web.lane import Exchange, Lane, Reply
from ringwork.web.openapi import described, problem_response
from ringwork.web.strict import check_json, decode

PATH: Final = "/v1/fairness/adjust"
SCOPE: Final = "fairness:deliver"
_decoder: Final = msgspec.json.Decoder(Auction)
_encode: Final = msgspec.json.Encoder().encode

PATHS: Final[Mapping[str, object]] = {
    PATH: {
        "post": {
            "operationId": "AdjustAuction",
            "summary": "AdjustAuction",
            "description": "What to take from the values of an auction's special ads. The best "
            "value after it wins; ask between ranking and pricing, with all who compete.",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Auction"}}
                },
            },
            "responses": {
                "200": {
                    "description": "The shifts",
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Adjustments"}}
                    },
                },
                **{
                    status: problem_response(text)
                    for status, text in (
                        ("400", "The request cannot be read"),
                        ("401", "No valid credentials"),
                        ("403", "The role lacks the scope"),
                        ("404", "None of the candidates is a registered special ad"),
                        ("413", "The body is too large"),
                        ("415", "The media type is not taken"),
                        ("422", "Not valid"),
                        ("503", "Not now; see Retry-After"),
                    )
                },
                "default": problem_response("Any other refusal"),
            },
        }
    }
}
"""The lane in the OpenAPI document: it is no framework's handler."""


class OutsideApi(Struct, frozen=True, kw_only=True):
    """Services, put together by the composition root."""

    outside: Outside
    journal: Journal
    execute: Executor
    keys: ApiKeys
    tenant: str


def outside_routes(api: OutsideApi) -> list[ControllerRouterHandler]:
    """Every handler but the lane's."""

    @post("/v1/fairness/ads", opt={**needs(SCOPE), **described(FairAd, key="optional")})
    async def register_special_ad(
        request: HttpRequest, data: JSONBody[NewFairAd]
    ) -> Response[bytes]:
        """Register a special ad that another platform sells, or change its audience."""
        actor = principal_of(request).key_id

        def decide(command: Command) -> tuple[int, Struct]:
            return 201, api.outside.register(command, data, actor)

        return await run_command(request, api.execute, decide)

    @post(
        "/v1/fairness/impressions",
        opt={**needs(SCOPE), **described(ImpressionsTaken, key="optional")},
    )
    async def tell_impressions(
        request: HttpRequest, data: JSONBody[ToldImpressions]
    ) -> Response[bytes]:
        """Tell impressions of such ads; each id of an ad counts once."""

        def decide(command: Command) -> tuple[int, Struct]:
            return 201, api.outside.show(command, data.impressions)

        return await run_command(request, api.execute, decide)

    return [register_special_ad, tell_impressions]


def adjust_lane(api: OutsideApi) -> Lane:
    """The hot one. Nothing waits for the disk: an auction that is lost with it billed nothing."""

    async def adjust(exchange: Exchange) -> Reply:
        given = exchange.authorization
        if given or exchange.client:  # who has no address asks over the owner's socket
            kind, _, token = given.decode("latin-1").partition(" ")
            require(api.keys.principal(token) if kind.lower() == "bearer" else None, SCOPE)
        check_json(exchange.content_type, b"")
        auction = decode(exchange.body, _decoder)
        with api.journal.command(tenant=api.tenant, request_id=exchange.request_id) as command:
            answer = api.outside.adjust(command, auction)
            command.commit()
        return Reply(200, _encode(answer))

    return Lane(path=PATH, methods=("POST",), handle=adjust)
