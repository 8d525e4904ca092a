"""TLS to Weaviate: https in the URL encrypts REST and gRPC, and a certificate that nobody vouches for is refused."""

import asyncio
import os
import ssl
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from knowledge.settings import IndexSettings

pytestmark = [pytest.mark.service, pytest.mark.slow]

REACH = """
import sys
from knowledge.errors import IndexUnavailable
from knowledge.settings import IndexSettings
from knowledge.stores.connection import Connection

async def over_both_ports(client):
    await client.collections.create(sys.argv[4])
    return (await client.collections.use(sys.argv[4]).query.fetch_objects(limit=1)).objects

connection = Connection(IndexSettings(url=sys.argv[1], grpc_port=int(sys.argv[2]), api_key=sys.argv[3]))
try:
    print(connection.run(over_both_ports, 20))
except IndexUnavailable as err:
    print(err)
connection.close()
"""


async def test_both_ports_are_encrypted_and_a_strange_certificate_is_refused(
    weaviate_settings: IndexSettings, tmp_path: Path
) -> None:
    certificate = certificate_for_localhost(tmp_path)
    vouched = {"SSL_CERT_FILE": str(certificate), "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate)}
    rest_port = int(weaviate_settings.url.rsplit(":", 1)[1])

    async with (
        await encrypting(certificate, rest_port, "http/1.1") as rest,
        await encrypting(certificate, weaviate_settings.grpc_port, "h2") as grpc,
    ):
        strange = await reach(weaviate_settings, rest, grpc, {})
        known = await reach(weaviate_settings, rest, grpc, vouched)

    assert "SSL_CERT_FILE" in strange
    assert known == "[]"


async def reach(settings: IndexSettings, rest: asyncio.Server, grpc: asyncio.Server, environment: dict[str, str]) -> str:
    """What a process prints that asks the server over both ports; it reads the variables when it starts."""
    ports = [server.sockets[0].getsockname()[1] for server in (rest, grpc)]
    key, name = settings.api_key.get_secret_value(), f"{settings.name}_1"
    arguments = (f"https://localhost:{ports[0]}", str(ports[1]), key, name)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", REACH, *arguments, stdout=PIPE, env={**os.environ, **environment}
    )
    return (await child.communicate())[0].decode().strip()


async def encrypting(certificate: Path, port: int, protocol: str) -> asyncio.Server:
    """A server that decrypts what comes and passes it on to the port of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols([protocol])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, to_behind), pump(behind, writer))

    return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


def certificate_for_localhost(folder: Path) -> Path:
    """A file with key and certificate, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), 1, datetime.now(UTC) - timedelta(1), datetime.now(UTC) + timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    unencrypted = serialization.NoEncryption()
    path = folder / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
