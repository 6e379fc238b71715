"""Reading an agent's keys from the URL that it named: a stranger's choice, so all is bounded.

Addresses are resolved once and checked, the connection goes to the checked address, the
certificate is checked against the name; no redirects, one time limit over all, bytes counted after
decoding (draft-ietf-webbotauth-httpsig-protocol, "Server-Side Request Forgery").
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from msgspec import UNSET, Struct

from ringwork.gate.identity.cards import read_card
from ringwork.gate.identity.ip import address_of, text_of
from ringwork.gate.identity.jwk import KeySet, published_keys
from ringwork.gate.identity.messages import Headers
from ringwork.gate.identity.resolver import LookupFailed, Resolver, SystemResolver
from ringwork.gate.identity.special import is_public
from ringwork.gate.identity.urls import AgentRef, discovery
from ringwork.kernel.errors import Refused

if TYPE_CHECKING:
    import httpx

BODY_MAX_BYTES: Final = 64 * 1024
"""32 RSA keys of 4096 bits are 25 KB."""
TIME_MAX_S: Final = 3.0
PORTS: Final = frozenset({443})
ADDRESSES_MAX: Final = 2
"""Of one name that are tried in turn."""
MEDIA_TYPE: Final = "application/http-message-signatures-directory+json"
_HEADERS: Final = {"accept-encoding": "gzip", "user-agent": "ringwork-gate"}


class DirectoryFailed(Exception):
    """The keys could not be read; ``reason`` says why, as a slug, and nothing of the signer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Directory(Struct, frozen=True):
    """Keys as they were read, and for how long the publisher lets them be kept.

    ``fields`` and ``body`` are the answer, for whoever wants its proof (``proof.proven_keys``).
    """

    keys: KeySet
    max_age_s: int | None
    fields: Headers = ()
    body: bytes = b""


class Answer(Struct, frozen=True):
    """A document that was read."""

    body: bytes
    max_age_s: int | None
    fields: Headers


class Reader(Protocol):
    """Reads an agent's keys. DirectoryFailed where they cannot be had."""

    async def read(self, agent: AgentRef) -> Directory: ...


class DirectoryReader:
    """Over HTTPS, with ``httpx``.

    ``resolver``, ``allows`` (an address) and ``ports`` are there for tests and for networks with
    addresses of their own; there is no setting that turns the checks off.
    """

    def __init__(
        self,
        *,
        resolver: Resolver | None = None,
        allows: Callable[[int], bool] = is_public,
        ports: frozenset[int] = PORTS,
        tls: ssl.SSLContext | None = None,
        time_max_s: float = TIME_MAX_S,
    ) -> None:
        self._resolver = resolver or SystemResolver()
        self._allows = allows
        self._ports = ports
        self._tls = tls
        self._time_max_s = time_max_s

    async def read(self, agent: AgentRef) -> Directory:
        """The keys at the agent's URL, by its type; see ``Reader``."""
        try:
            async with asyncio.timeout(self._time_max_s):
                return await self._read(agent)
        except TimeoutError as error:
            raise DirectoryFailed("timeout") from error

    async def _read(self, agent: AgentRef) -> Directory:
        if agent.kind != "cimd":
            return await self._read_keys(agent)
        answer = await self._get(agent.fetch, None)
        try:
            card = read_card(answer.body, agent.fetch)
            if card.jwks is UNSET:
                if card.jwks_uri is None:
                    raise DirectoryFailed("no-keys")
                return await self._read_keys(discovery(card.jwks_uri, "jwks_uri"))
            keys = published_keys(bytes(card.jwks), agent.fetch, kid_is_thumbprint=False)
        except (Refused, ValueError) as error:
            raise DirectoryFailed("document") from error
        return Directory(keys, answer.max_age_s)

    async def _read_keys(self, agent: AgentRef) -> Directory:
        is_directory = agent.kind == "directory"
        answer = await self._get(agent.fetch, MEDIA_TYPE if is_directory else None)
        try:
            keys = published_keys(answer.body, agent.fetch, kid_is_thumbprint=is_directory)
        except Refused as error:
            raise DirectoryFailed("document") from error
        return Directory(keys, answer.max_age_s, answer.fields, answer.body)

    async def _get(self, url: str, media_type: str | None) -> Answer:
        import httpx  # noqa: PLC0415  # only where a directory is read

        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        if port not in self._ports:
            raise DirectoryFailed("port")
        if self._tls is None:
            self._tls = ssl.create_default_context()
        transport = httpx.AsyncHTTPTransport(verify=self._tls, retries=0)
        # No proxies of the environment: the address that was checked is the one that is asked.
        async with httpx.AsyncClient(
            transport=transport, follow_redirects=False, trust_env=False, timeout=self._time_max_s
        ) as client:
            for address in await self._addresses(host):
                target = httpx.URL(url).copy_with(host=text_of(address))
                named = host if port == 443 else f"{host}:{port}"
                headers = {**_HEADERS, "host": named, "accept": media_type or "application/json"}
                asked = client.build_request(
                    "GET", target, headers=headers, extensions={"sni_hostname": host}
                )
                try:
                    answer = await client.send(asked, stream=True)
                except httpx.ConnectError:
                    continue
                except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
                    raise DirectoryFailed("connection") from error
                try:
                    return await _read_answer(answer, media_type)
                finally:
                    await answer.aclose()
        raise DirectoryFailed("connection")

    async def _addresses(self, host: str) -> Sequence[int]:
        """The addresses to ask. A name of which one address is not public is not asked at all."""
        literal = address_of(host)
        try:
            told = (
                [text_of(literal)] if literal is not None else await self._resolver.addresses(host)
            )
        except LookupFailed as error:
            raise DirectoryFailed("name") from error
        found = [address_of(one) for one in told]
        if not found:
            raise DirectoryFailed("name")
        checked = [one for one in found if one is not None and self._allows(one)]
        if len(checked) != len(found):
            raise DirectoryFailed("address")
        return checked[:ADDRESSES_MAX]


async def _read_answer(answer: httpx.Response, media_type: str | None) -> Answer:
    import httpx  # noqa: PLC0415  # as above

    if answer.status_code != 200:
        raise DirectoryFailed("status")
    told = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type is not None and told != media_type:
        raise DirectoryFailed("media-type")
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise DirectoryFailed("encoding")
    inflate = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body = b""
    try:
        async for chunk in answer.aiter_raw():
            # At most one byte beyond the limit is ever made of a chunk, however it was packed.
            room = BODY_MAX_BYTES + 1 - len(body)
            body += chunk[:room] if inflate is None else inflate.decompress(chunk, room)
            if len(body) > BODY_MAX_BYTES:
                raise DirectoryFailed("too-large")
    except zlib.error as error:
        raise DirectoryFailed("encoding") from error
    except (httpx.HTTPError, OSError) as error:
        raise DirectoryFailed("connection") from error
    if inflate is not None and not inflate.eof:
        raise DirectoryFailed("encoding")
    return Answer(body, max_age_of(answer.headers), tuple(answer.headers.raw))


def max_age_of(headers: Mapping[str, str]) -> int | None:
    """How long a shared cache may keep the answer (RFC 9111, 4.2); None where that is not said."""
    directives: dict[str, str] = {}
    for part in headers.get("cache-control", "").lower().split(","):
        name, _, value = part.strip().partition("=")
        directives.setdefault(name, value.strip('"'))
    if directives.keys() & {"no-store", "no-cache", "private"}:
        return 0
    for name in ("s-maxage", "max-age"):
        value = directives.get(name, "")
        if value.isdecimal() and value.isascii():
            age = headers.get("age", "0").strip()
            past = int(age[:10]) if age.isdecimal() and age.isascii() else 0
            return max(0, int(value[:10]) - past)
    return None
