"""A signer's site on loopback, over TLS, for tests: what it answers is set by each test."""

import asyncio
import datetime
import ipaddress
import ssl
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ringwork.gate.identity.directory import MEDIA_TYPE, DirectoryReader

HOST = "signer.example"


def certificate(host: str) -> tuple[bytes, bytes]:
    """A certificate of a host that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(start).not_valid_after(start.replace(year=2060))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), pem


CERTIFICATE, PRIVATE = certificate(HOST)


def trusting(pem: bytes = CERTIFICATE) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pem.decode())


class Zone:
    """A zone in memory: the resolver's port."""

    def __init__(self, **hosts):
        self.hosts = {HOST: ["127.0.0.1"], **hosts}
        self.asked = 0

    async def addresses(self, host):
        self.asked += 1
        return self.hosts.get(host, [])

    async def names(self, address):
        return []


class Site:
    """What the server answers, and what it was asked."""

    def __init__(self):
        self.port = 0
        self.requests = []
        self.status = "200 OK"
        self.fields = {"content-type": MEDIA_TYPE}
        self.body = b""
        self.bodies = {}
        self.hold = None

    @property
    def origin(self) -> str:
        return f"https://{HOST}:{self.port}"

    def reader(self, **given) -> DirectoryReader:
        """The explicit way in for tests: loopback allowed, this port, this certificate."""
        loopback = int(ipaddress.ip_address("127.0.0.1"))
        return DirectoryReader(
            **{
                "resolver": Zone(), "allows": lambda address: address == loopback,
                "ports": frozenset({self.port}), "tls": trusting(), **given,
            }
        )  # fmt: skip

    async def answer(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            if self.hold is not None:
                await self.hold.wait()
            path = head.split(b" ")[1].decode()
            body = self.bodies.get(path, self.body)
            fields = {"content-length": str(len(body)), "connection": "close", **self.fields}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 {self.status}\r\n{lines}\r\n".encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def signer_site():
    site = Site()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "both.pem"
        path.write_bytes(CERTIFICATE + PRIVATE)
        context.load_cert_chain(path)
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()
