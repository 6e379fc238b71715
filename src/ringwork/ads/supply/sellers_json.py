"""sellers.json: whom a system pays for what is sold through it, so that buyers can look it up.

Source: IAB Tech Lab, sellers.json 1.0. Ours has one entry per registered publisher; its
``seller_id`` is the publisher's id, which is also the account in its ads.txt and the ``sid`` of our
node in supply chains. Reading is tolerant per entry: one that is wrong is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from msgspec import Struct

from ringwork.ads.model import Publisher

SellerType = Literal["PUBLISHER", "INTERMEDIARY", "BOTH"]

VERSION: Final = "1.0"
SELLERS_MAX: Final = 1_000_000
"""The largest known file has some hundred thousand entries."""
FAULTS_MAX: Final = 1000


class Seller(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Whom the system pays."""

    seller_id: str
    seller_type: SellerType
    """PUBLISHER: it owns the places; INTERMEDIARY: it sells others'."""
    name: str = ""
    domain: str = ""
    is_confidential: int = 0
    """1 where name and domain are not told."""
    is_passthrough: int = 0
    """1 where the account is a system of its own that sells on."""
    comment: str = ""


class Identifier(Struct, frozen=True):
    """The system at a certification authority, as in ``TAG-ID``."""

    name: str
    value: str


class SellersJson(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A whole file."""

    sellers: tuple[Seller, ...]
    version: str = ""
    contact_email: str = ""
    contact_address: str = ""
    identifiers: tuple[Identifier, ...] = ()


class _Read(Struct, gc=False):
    sellers: list[msgspec.Raw] | None = None
    version: str | float | None = None
    contact_email: str | None = None
    contact_address: str | None = None
    identifiers: list[Identifier] | None = None


class _ReadSeller(Struct, gc=False):
    seller_id: str | int | None = None
    seller_type: str | None = None
    name: str | None = None
    domain: str | None = None
    is_confidential: int | None = None
    is_passthrough: int | None = None
    comment: str | None = None


_encoder: Final = msgspec.json.Encoder()
_reader: Final = msgspec.json.Decoder(_Read)
_seller: Final = msgspec.json.Decoder(_ReadSeller)
_TYPES: Final[dict[str, SellerType]] = {
    "PUBLISHER": "PUBLISHER", "INTERMEDIARY": "INTERMEDIARY", "BOTH": "BOTH",
}  # fmt: skip


def of_publishers(
    publishers: Iterable[Publisher],
    *,
    contact_email: str = "",
    contact_address: str = "",
    identifiers: tuple[Identifier, ...] = (),
) -> SellersJson:
    """The file of a system that sells for these publishers alone."""
    return SellersJson(
        version=VERSION,
        contact_email=contact_email,
        contact_address=contact_address,
        identifiers=identifiers,
        sellers=tuple(
            Seller(seller_id=one.id, seller_type="PUBLISHER", name=one.name, domain=one.domain)
            for one in publishers
        ),
    )


def write(file: SellersJson) -> bytes:
    """The JSON of a file; what is empty is left out."""
    return _encoder.encode(file)


def parse(body: bytes) -> tuple[SellersJson, list[str]]:
    """A file as far as it can be read, and what is wrong with the rest.

    ValueError for what is no sellers.json at all.
    """
    try:
        read = _reader.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"expected a sellers.json: {error}") from None
    if read.sellers is None:
        raise ValueError("expected a sellers.json: it has no sellers")
    wrong: list[str] = []
    found: dict[str, Seller] = {}
    for number, raw in enumerate(read.sellers[:SELLERS_MAX]):
        seller = _read(raw)
        if isinstance(seller, Seller) and seller.seller_id in found:
            seller = f"seller_id {seller.seller_id!r} is given before"
        if isinstance(seller, Seller):
            found[seller.seller_id] = seller
        elif len(wrong) < FAULTS_MAX:
            wrong.append(f"sellers[{number}]: {seller}")
    file = SellersJson(
        sellers=tuple(found.values()),
        version=str(read.version or ""),
        contact_email=read.contact_email or "",
        contact_address=read.contact_address or "",
        identifiers=tuple(read.identifiers or ()),
    )
    return file, wrong


def _read(raw: msgspec.Raw) -> Seller | str:
    """An entry, or what is wrong with it."""
    try:
        one = _seller.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)
    kind = _TYPES.get((one.seller_type or "").upper())
    if one.seller_id is None or one.seller_id == "":
        return "seller_id is required"
    if kind is None:
        return f"seller_type must be one of {', '.join(_TYPES)}, got {one.seller_type!r}"
    if not one.is_confidential and not (one.name and one.domain):
        return "name and domain are required of a seller that is not confidential"
    return Seller(
        seller_id=str(one.seller_id),
        seller_type=kind,
        name=one.name or "",
        domain=(one.domain or "").lower(),
        is_confidential=int(bool(one.is_confidential)),
        is_passthrough=int(bool(one.is_passthrough)),
        comment=one.comment or "",
    )
