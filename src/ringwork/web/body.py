"""Litestar bodies decoded by our rules.

Strictly, once, with the type's own decoder (web.strict).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import msgspec
from litestar.dto import AbstractDTO, DTOConfig
from litestar.dto._backend import DTOBackend
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from ringwork.web.strict import check_json, decode

_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {}
"""Handler id -> decoder of its body, from when an application is built until the handler's first
body: what is kept here must not keep the handler, which holds its whole application."""
_DECODER: Final = "body decoder"
"""Where a handler's ``opt`` keeps it."""


class StrictBody(AbstractDTO[msgspec.Struct]):
    """The DTO of every handler with a body: ``Litestar(dto=StrictBody, return_dto=None)``."""

    config = DTOConfig()
    model_type = msgspec.Struct

    @classmethod
    def generate_field_definitions(
        cls, model_type: type[msgspec.Struct]
    ) -> Generator[DTOFieldDefinition, None, None]:
        """None: the type itself is the schema."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Never: nothing is transferred field by field."""
        return False

    @classmethod
    def create_for_field_definition(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,
        backend_cls: type[DTOBackend] | None = None,
    ) -> None:
        """Remember the decoder of the handler's body."""
        if field_definition.name == "data":
            _DECODERS[handler_id] = msgspec.json.Decoder(field_definition.annotation)

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        """The schema of the type."""
        schema: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return schema

    def decode_bytes(self, value: bytes) -> Any:
        """415, 400, 422, or the body."""
        connection = self.asgi_connection
        content_type = content_encoding = b""
        for name, content in connection.scope["headers"]:
            if name == b"content-type":
                content_type = content
            elif name == b"content-encoding":
                content_encoding = content
        check_json(content_type, content_encoding)
        return decode(value, _decoder_of(connection.route_handler))

    def data_to_encodable_type(self, data: Any) -> Any:
        """Answers are encoded as they are."""
        return data


def _decoder_of(handler: BaseRouteHandler) -> msgspec.json.Decoder[Any]:
    """The decoder of a handler's body; the handler's id is computed at each look at it."""
    decoder: msgspec.json.Decoder[Any] | None = handler.opt.get(_DECODER)
    if decoder is None:
        decoder = handler.opt[_DECODER] = _DECODERS.pop(handler.handler_id)
    return decoder
