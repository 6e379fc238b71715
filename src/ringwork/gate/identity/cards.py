"""Signature agent cards and registries (draft-meunier-webbotauth-registry).

A card is OAuth client metadata with what a crawler says about itself; a registry is a list of
cards' addresses. Both are claims by whoever publishes them.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from ringwork.gate.identity.urls import URL_MAX, identifier_of
from ringwork.kernel.errors import Fault, Refused

CARD_MAX_BYTES: Final = 64 * 1024
REGISTRY_MAX_BYTES: Final = 1024 * 1024
REGISTRY_MAX: Final = 10_000


class BotFacts(Struct, frozen=True, rename="kebab"):
    """The member ``web_bot_auth`` of a card, as far as a gate uses it."""

    expected_user_agent: str | None = None
    rfc9309_product_token: str | None = None
    rfc9309_compliance: object = None
    trigger: Literal["fetcher", "crawler"] | None = None
    purpose: str | None = None
    targeted_content: str | None = None
    rate_control: object = None
    rate_expectation: object = None
    known_urls: tuple[str, ...] = ()
    ips_uri: str | None = field(name="ips_uri", default=None)


class AgentCard(Struct, frozen=True):
    """A card, or the client metadata document (CIMD) that it is; keys in place or elsewhere."""

    client_id: str
    client_name: str | None = None
    client_uri: str | None = None
    contacts: tuple[str, ...] = ()
    jwks_uri: str | None = None
    jwks: msgspec.Raw | UnsetType = UNSET
    web_bot_auth: BotFacts = BotFacts()


_decode = msgspec.json.Decoder(AgentCard).decode


def read_card(document: bytes, url: str) -> AgentCard:
    """The card that was read at ``url``.

    Refused (``agent-card-invalid``) for another form, for a ``client_id`` that is not that address
    octet for octet, for keys both in place and elsewhere, and for addresses that are not https.
    """
    if len(document) > CARD_MAX_BYTES:
        raise _refused("", f"{len(document)} bytes, expected at most {CARD_MAX_BYTES}")
    try:
        card = _decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _refused("", f"expected client metadata: {error}"[:200]) from error
    if card.client_id != url:
        raise _refused("/client_id", "client_id must match the card URL")
    if card.jwks is not UNSET and card.jwks_uri is not None:
        raise _refused("/jwks", "card must not contain both jwks and jwks_uri")
    for pointer, address in (
        ("/jwks_uri", card.jwks_uri),
        ("/web_bot_auth/ips_uri", card.web_bot_auth.ips_uri),
    ):
        if address is not None and not _is_https(address):
            raise _refused(pointer, "expected an https URL")
    return card


def read_registry(document: bytes) -> tuple[str, ...]:
    """The addresses of cards, in order: one https or data URL a line, ``#`` begins a comment.

    Refused (``agent-card-invalid``) names the line that is neither.
    """
    if len(document) > REGISTRY_MAX_BYTES:
        raise _refused("", f"{len(document)} bytes, expected at most {REGISTRY_MAX_BYTES}")
    found = []
    for number, line in enumerate(document.decode("utf-8", "replace").splitlines(), 1):
        # A fragment would begin with the same sign, and a card has none.
        address = line.partition("#")[0].strip()
        if not address:
            continue
        if not (address.startswith("data:") and address.isascii()) and not _is_https(address):
            raise _refused(f"/{number}", f"line {number}: expected an https or data URL")
        found.append(address)
    if len(found) > REGISTRY_MAX:
        raise _refused("", f"{len(found)} cards, expected at most {REGISTRY_MAX}")
    return tuple(found)


def _is_https(address: str) -> bool:
    try:
        return len(address) <= URL_MAX and bool(identifier_of(address))
    except ValueError:
        return False


def _refused(pointer: str, detail: str) -> Refused:
    return Refused("agent-card-invalid", detail, status=422, errors=[Fault(pointer, detail)])
