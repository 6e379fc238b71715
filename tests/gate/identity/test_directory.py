"""Reading a directory: every bound, over a real TLS connection to loopback."""

import asyncio
import gzip
import json

import pytest

from ringwork.gate.identity.agents import AgentVerifier
from ringwork.gate.identity.directory import (
    BODY_MAX_BYTES,
    DirectoryFailed,
    DirectoryReader,
    max_age_of,
)
from ringwork.gate.identity.keys import FetchedKeys
from ringwork.gate.identity.resolver import LookupFailed
from ringwork.gate.identity.urls import DIRECTORY_PATH, discovery
from ringwork.kernel.clock import ManualClock
from tests.gate.identity.signer_site import HOST, Zone, certificate, signer_site, trusting
from tests.gate.identity.signing import KEY, OTHER, Key, Signed, jwks


def reads(change=lambda site: None, *, kind="directory", path="", **given):
    """What a reader finds at a site: thumbprints, or the reason why it could not read."""

    async def run():
        async with signer_site() as site:
            site.body = json.dumps(jwks(KEY)).encode()
            change(site)
            agent = discovery(site.origin + path, kind)
            try:
                found = await site.reader(**given).read(agent)
            except DirectoryFailed as failed:
                return failed.reason, site
            return sorted(found.keys), site

    return asyncio.run(run())


def having(**parts):
    def change(site):
        for name, value in parts.items():
            setattr(site, name, value)

    return change


def test_a_directory_is_read_at_its_well_known_place():
    found, site = reads()
    assert found == [KEY.keyid]
    (asked,) = site.requests
    assert asked.startswith(f"GET {DIRECTORY_PATH} HTTP/1.1\r\n".encode())
    assert f"\r\nhost: {HOST}:{site.port}\r\n".encode() in asked.lower()
    assert b"cookie" not in asked.lower()


def large(site):
    site.body = json.dumps({**jwks(KEY), "padding": "x" * BODY_MAX_BYTES}).encode()


def bomb(site):
    site.body = gzip.compress(b"[" * (64 << 20), 9)
    site.fields["content-encoding"] = "gzip"


def packed(site):
    site.body = gzip.compress(site.body)
    site.fields["content-encoding"] = "gzip"


def torn(site):
    packed(site)
    site.body = site.body[:-9]


def test_gzip_is_read():
    assert reads(packed)[0] == [KEY.keyid]


MEDIA = {"content-type": "application/json"}
FAULTS = {
    "status": having(status="404 Not Found"),
    "media-type": having(fields=MEDIA),
    "too-large": large,
    "document": having(body=b"<html>"),
    "encoding": torn,
}


@pytest.mark.parametrize("reason", FAULTS)
def test_what_is_no_directory_is_refused(reason):
    assert reads(FAULTS[reason])[0] == reason


def test_what_unpacks_beyond_the_bound_is_refused():
    assert reads(bomb)[0] == "too-large"
    brotli = having(fields={"content-type": "x", "content-encoding": "br"})
    assert reads(brotli, kind="jwks_uri", path="/k")[0] == "encoding"


def test_too_many_keys_are_refused():
    many = [{**KEY.jwk, "n": number} for number in range(33)]
    assert reads(having(body=json.dumps({"keys": many}).encode()))[0] == "document"


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary Redirect", "204 No Content", "203 Other"]
)
def test_redirects_are_not_followed_and_only_200_counts(status):
    found, site = reads(having(status=status, fields={"location": "/elsewhere"}))
    assert found == "status"
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["127.0.0.1"], ["169.254.169.254"], ["8.8.8.8", "192.168.0.1"], ["::1"], ["fd00::1"],
     ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["0.0.0.0"], ["nonsense"]],
)  # fmt: skip
def test_names_of_special_addresses_are_not_asked(addresses):
    async def run():
        reader = DirectoryReader(resolver=Zone(**{"inner.example": addresses}))
        with pytest.raises(DirectoryFailed, match="address"):
            await reader.read(discovery("https://inner.example", "directory"))

    asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.1.1", "[::1]", "[fd00::1]", "169.254.169.254"])
def test_addresses_in_the_url_are_checked_too(host):
    async def run():
        with pytest.raises(DirectoryFailed, match="address"):
            await DirectoryReader(resolver=Zone()).read(discovery(f"https://{host}", "directory"))

    asyncio.run(run())


def test_the_checked_address_is_the_one_that_is_asked():
    """A name that points elsewhere the second time (DNS rebinding) is not asked a second time."""
    zone = Zone()
    assert reads(resolver=zone)[0] == [KEY.keyid]
    assert zone.asked == 1


def test_other_ports_are_not_asked():
    assert reads(ports=frozenset({443}))[0] == "port"


def test_names_that_lead_nowhere():
    class Down(Zone):
        async def addresses(self, host):
            raise LookupFailed("no answer")

    assert reads(resolver=Zone(**{HOST: []}))[0] == "name"
    assert reads(resolver=Down())[0] == "name"


def test_a_certificate_of_another_name_is_refused():
    assert reads(tls=trusting(certificate(HOST)[0]))[0] == "connection"
    zone = Zone(**{"other.example": ["127.0.0.1"]})

    async def run():
        async with signer_site() as site:
            agent = discovery(f"https://other.example:{site.port}", "directory")
            with pytest.raises(DirectoryFailed, match="connection"):
                await site.reader(resolver=zone).read(agent)
            assert site.requests == []

    asyncio.run(run())


def test_everything_together_has_one_time_limit():
    async def run():
        async with signer_site() as site:
            site.hold = asyncio.Event()
            reader = site.reader(time_max_s=0.05)
            with pytest.raises(DirectoryFailed, match="timeout"):
                await reader.read(discovery(site.origin, "directory"))
            site.hold.set()

    asyncio.run(run())


def test_a_key_set_elsewhere_is_fetched_as_sent():
    found, site = reads(having(fields=MEDIA), kind="jwks_uri", path="/keys.json?v=2")
    assert found == [KEY.keyid]
    assert site.requests[0].startswith(b"GET /keys.json?v=2 HTTP/1.1\r\n")


def card(site, path="/card", **members):
    document = {"client_id": site.origin + path, "client_name": "Example", **members}
    site.fields = MEDIA
    site.bodies[path] = json.dumps(document).encode()


CARDS = {
    "keys in place": (lambda site: card(site, jwks=jwks(KEY)), [KEY.keyid]),
    "keys elsewhere": (lambda site: card(site, jwks_uri=site.origin + "/keys"), [KEY.keyid]),
    "both": (lambda site: card(site, jwks=jwks(KEY), jwks_uri=site.origin + "/keys"), "document"),
    "neither": (card, "no-keys"),
    "another's": (lambda site: card(site, client_id=site.origin + "/other", jwks=jwks(KEY)), "document"),
    "keys at http": (lambda site: card(site, jwks_uri="http://a.example/keys"), "document"),
}  # fmt: skip


@pytest.mark.parametrize("what", CARDS)
def test_client_metadata_has_its_keys_in_place_or_elsewhere(what):
    change, expected = CARDS[what]
    assert reads(change, kind="cimd", path="/card")[0] == expected


def test_keys_elsewhere_obey_the_same_bounds():
    def change(site):
        card(site, jwks_uri="https://inner.example/keys")

    zone = Zone(**{"inner.example": ["10.0.0.1"]})
    assert reads(change, kind="cimd", path="/card", resolver=zone)[0] == "port"


def test_what_a_publisher_does_wrong_costs_only_that_key():
    keys = [
        {**OTHER.jwk, "kid": "mine"},  # in a directory a kid is the thumbprint
        {**Key(seed=3).jwk, "d": "AAAA"},  # its private half is public
        {"kty": "oct", "k": "AAAA"}, {"kty": "EC", "crv": "P-384", "x": "A", "y": "A"},
        {**Key(seed=4).jwk, "use": "enc"}, {**Key(seed=5).jwk, "x": "@"}, {**Key(seed=6).jwk, "exp": "soon"},
        {**KEY.jwk, "kid": KEY.keyid, "alg": "none"},
    ]  # fmt: skip
    body = json.dumps({"keys": keys}).encode()
    assert reads(having(body=body))[0] == [KEY.keyid]
    elsewhere = reads(having(body=body), kind="jwks_uri", path="/keys")[0]
    assert elsewhere == sorted([KEY.keyid, OTHER.keyid])


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        ({}, None), ({"cache-control": "max-age=600"}, 600), ({"cache-control": 'Public, Max-Age="60"'}, 60),
        ({"cache-control": "max-age=600, s-maxage=9"}, 9), ({"cache-control": "max-age=600", "age": "590"}, 10),
        ({"cache-control": "max-age=5", "age": "9"}, 0), ({"cache-control": "no-store"}, 0),
        ({"cache-control": "no-cache, max-age=9"}, 0), ({"cache-control": "max-age=-1"}, None),
        ({"cache-control": "max-age=x", "age": "y"}, None),
    ],
)  # fmt: skip
def test_for_how_long_an_answer_may_be_kept(fields, age):
    assert max_age_of(fields) == age


class Drawn:
    def take(self, count):
        return bytes(count)


def test_a_request_is_verified_with_keys_from_its_agents_site():
    async def run():
        async with signer_site() as site:
            site.body = json.dumps(jwks(KEY)).encode()
            clock = ManualClock()
            keys = FetchedKeys(clock=clock, entropy=Drawn(), reader=site.reader())
            verifier = AgentVerifier(keys=keys, clock=clock)
            signed = Signed(agent=f'sig1="{site.origin}"', nonce="n")
            found = await verifier.resolve(signed.message())
            assert (found.status, found.url) == ("verified", site.origin + DIRECTORY_PATH)
            assert (await verifier.resolve(signed.message())).status == "replayed"
            assert len(site.requests) == 1

    asyncio.run(run())


def test_by_default_loopback_is_out_of_reach():
    async def run():
        async with signer_site() as site:
            site.body = json.dumps(jwks(KEY)).encode()
            clock = ManualClock()
            reader = DirectoryReader(resolver=Zone(), ports=frozenset({site.port}))
            keys = FetchedKeys(clock=clock, entropy=Drawn(), reader=reader)
            verifier = AgentVerifier(keys=keys, clock=clock)
            found = await verifier.resolve(Signed(agent=f'sig1="{site.origin}"').message())
            assert (found.status, found.reason) == ("unverified", "keys-unavailable")
            assert site.requests == []

    asyncio.run(run())
