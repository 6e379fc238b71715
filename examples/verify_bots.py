"""Four requests that say they are somebody, and what each claim is worth.

A signed one, the same one again, the same signature on another page, and one with nothing but a
user agent. No network: keys, range and key set are made here.
"""

import base64
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringwork.gate.identity.address import ClientAddresses, address_of
from ringwork.gate.identity.agents import AgentVerifier, HttpMessage, StaticKeys
from ringwork.gate.identity.bots import GoodBots
from ringwork.gate.identity.jwk import thumbprint_of
from ringwork.gate.identity.ranges import PublishedRanges, RangeList
from ringwork.kernel.clock import SystemClock

clock = SystemClock()


def signed_request(key, keyid, path):
    """What an agent sends: a base by RFC 9421, section 2.5, and its signature."""
    now_s = int(time.time())
    line = (
        f'("@authority" "@method" "@path" "signature-agent";key="sig1");created={now_s}'
        f';expires={now_s + 60};keyid="{keyid}";nonce="{now_s}";tag="web-bot-auth"'
    )
    base = (
        f'"@authority": shop.example\n"@method": GET\n"@path": {path}\n'
        f'"signature-agent";key="sig1": "https://signer.example"\n"@signature-params": {line}'
    )
    signature = base64.b64encode(key.sign(base.encode()))
    return [
        (b"signature-agent", b'sig1="https://signer.example"'),
        (b"signature-input", b"sig1=" + line.encode()),
        (b"signature", b"sig1=:" + signature + b":"),
    ]


def main():
    key = Ed25519PrivateKey.generate()
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x}
    keys = StaticKeys({"https://signer.example": {"keys": [jwk]}})
    verifier = AgentVerifier(keys=keys, clock=clock)
    fields = signed_request(key, thumbprint_of(jwk), "/p/17")
    for what, path in (("signed", "/p/17"), ("again", "/p/17"), ("elsewhere", "/p/18")):
        request = HttpMessage(method="GET", authority="shop.example", path=path, headers=fields)
        found = verifier.verify(request)
        print(f"{what:10} {found.status:10} {found.reason or found.url}")

    listed = RangeList("google", ("66.249.64.0/19",), clock.wall_us())
    bots = GoodBots(ranges=PublishedRanges([listed], clock=clock))
    proxies = ClientAddresses(proxies=["10.0.0.0/8"])
    for forwarded in ("66.249.73.135", "66.249.73.135, 203.0.113.9"):
        client = proxies.client(address_of("10.0.0.1"), forwarded)
        found = bots.judge(client.address, "Mozilla/5.0 (compatible; Googlebot/2.1)")
        print(f"{'Googlebot':10} {found.status:10} {forwarded}")


if __name__ == "__main__":
    main()
