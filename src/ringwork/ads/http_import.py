"""The management API of ads: bulk import, a line an item (``application/x-ndjson``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from litestar import Response, post
from litestar.exceptions import HTTPException
from litestar.openapi.spec import Discriminator, OpenAPIMediaType, Operation, Reference, RequestBody
from litestar.openapi.spec import Schema as OpenApiSchema
from litestar.types import ControllerRouterHandler

from ringwork.ads.http_api import WRITE, AdsApi
from ringwork.ads.import_lines import IMPORT_LINES_MAX, IMPORT_MAX_BYTES, LINES, Imported
from ringwork.ads.importing import Call, Importer
from ringwork.web.app import HttpRequest, header_of, principal_of, request_id
from ringwork.web.idempotency import check_key
from ringwork.web.openapi import described
from ringwork.web.problems import TooLarge, UnsupportedMediaType

NDJSON: Final = "application/x-ndjson"

_REFS: Final = [f"#/components/schemas/{line.__name__}" for line in LINES]


@dataclass
class _TakesLines(Operation):
    """The operation with the body that the handler reads by itself."""

    def __post_init__(self) -> None:
        named = {
            str(line.__struct_config__.tag): ref for line, ref in zip(LINES, _REFS, strict=True)
        }
        line = OpenApiSchema(
            description=f"One line; at most {IMPORT_LINES_MAX} lines, {IMPORT_MAX_BYTES} bytes.",
            any_of=[Reference(ref) for ref in _REFS],
            discriminator=Discriminator(property_name="type", mapping=named),
        )
        self.request_body = RequestBody(
            content={NDJSON: OpenAPIMediaType(schema=line)}, required=True
        )


def import_routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """The handler of bulk imports."""
    importer = Importer(
        management=api.management,
        index=api.ads.index,
        execute=api.execute,
        clock=api.journal.clock,
    )

    @post(
        "/v1/import",
        opt={**WRITE, **described(Imported, key="required")},
        request_max_body_size=IMPORT_MAX_BYTES,
        operation_class=_TakesLines,
    )
    async def import_lines(request: HttpRequest) -> Response[bytes]:
        """Create what each line says, in order; every line that is not empty gets its result.

        A line is the body of the POST of its type with `type` before it. A line that is refused
        undoes no other, and what exists with the same content is `exists`, so that a file may be
        sent again. With the same Idempotency-Key an import that broke off goes on.
        """
        _check_media_type(request)
        key = check_key(header_of(request, b"idempotency-key"), required=True)
        assert key is not None, "it is required"
        call = Call(
            tenant=principal_of(request).tenant,
            request_id=request_id(request),
            path=request.scope["path"],
            key=key,
            actor=api.actor_of(request),
        )
        result, is_replayed = await importer(call, await _body_of(request))
        return Response(
            msgspec.json.encode(result),
            status_code=200,
            media_type="application/json",
            headers={"Idempotency-Replayed": "true"} if is_replayed else {},
        )

    return [import_lines]


def _check_media_type(request: HttpRequest) -> None:
    """415 unless the body is plain lines of JSON."""
    given = (header_of(request, b"content-type") or "none").partition(";")[0].strip().lower()
    if given != NDJSON:
        raise UnsupportedMediaType(f"expected {NDJSON}, got {given[:100]}")
    coding = header_of(request, b"content-encoding") or "identity"
    if coding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("expected no content coding")


async def _body_of(request: HttpRequest) -> bytes:
    """The body; 413 with this endpoint's own bound, which is larger than the others'."""
    try:
        return await request.body()
    except HTTPException as error:
        if error.status_code == 413:
            raise TooLarge(IMPORT_MAX_BYTES) from None
        raise
