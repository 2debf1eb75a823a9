"""A real time-stamping authority on loopback: OpenSSL answers, certificates made on the spot."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])

# openssl-ts(1), "CONFIGURATION FILE OPTIONS"
_SETTINGS = """
[tsa]
default_tsa = one
[one]
serial = serial
signer_cert = tsa.pem
certs = chain.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server sends back; ``body`` may take its time."""

    body: Iterable[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Somebody who signs certificates."""

    name: str
    key: ec.EllipticCurvePrivateKey
    until: datetime

    def certificate(
        self,
        subject: str,
        public: ec.EllipticCurvePublicKey,
        *extensions: tuple[x509.ExtensionType, bool],
        serial: int,
    ) -> x509.Certificate:
        """A certificate with these extensions, each critical or not."""
        # RFC 5280 section 4.2.1.1; TLS of Python 3.13 asks for it
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(public)
            .serial_number(serial)
            .not_valid_before(self.until - 10 * DAY)
            .not_valid_after(self.until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(by, critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, hashes.SHA256())


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A TSA.

    Attributes:
        folder: its keys and settings.
        root_pem: the certificate to trust.
        issuer: who signed its certificate.
        key: what it stamps with.
    """

    folder: Path
    root_pem: str
    issuer: Issuer
    key: ec.EllipticCurvePrivateKey

    def answer(self, query: bytes) -> bytes:
        """What OpenSSL answers (TimeStampResp, DER)."""
        (self.folder / "query").write_bytes(query)
        command = ["openssl", "ts", "-reply", "-config", "settings", "-queryfile", "query"]
        subprocess.run(
            [*command, "-out", "answer"], cwd=self.folder, check=True, capture_output=True
        )
        return (self.folder / "answer").read_bytes()

    def certificate(self, *extensions: tuple[x509.ExtensionType, bool]) -> x509.Certificate:
        """A certificate for its key; always the same but for the extensions."""
        return self.issuer.certificate("Test TSA", self.key.public_key(), *extensions, serial=77)


def authority(
    folder: Path,
    *,
    digests: str = "sha256, sha384, sha512",
    until: datetime | None = None,
    intermediate: bool = False,
) -> Authority:
    """Found a TSA; skips where there is no OpenSSL.

    Args:
        folder: made; holds its files.
        digests: what it accepts; anything else it rejects.
        until: when its certificates end, by default tomorrow.
        intermediate: whether another authority stands between it and the root.
    """
    if shutil.which("openssl") is None:
        pytest.skip("no openssl; install it: sudo apt-get install openssl")
    folder.mkdir()
    until = (until or datetime.now(UTC) + DAY).replace(microsecond=0)
    issuer = Issuer(name="Test root", key=_key(), until=until)
    chain = [issuer.certificate("Test root", issuer.key.public_key(), *_CA, serial=1)]
    root_pem = _pem(chain[0])
    if intermediate:
        between = Issuer(name="Test authority", key=_key(), until=until)
        chain.append(issuer.certificate(between.name, between.key.public_key(), *_CA, serial=2))
        issuer = between
    made = Authority(folder=folder, root_pem=root_pem, issuer=issuer, key=_key())
    certificate = made.certificate((STAMPING, True))  # RFC 3161 section 2.3: alone, and critical
    (folder / "chain.pem").write_text("".join(_pem(each) for each in chain))
    (folder / "tsa.pem").write_text(_pem(certificate))
    (folder / "tsa.key").write_bytes(_private(made.key))
    (folder / "serial").write_text("01\n")
    (folder / "settings").write_text(_SETTINGS.format(digests=digests))
    return made


def with_certificate(token: bytes, certificate: x509.Certificate) -> bytes:
    """A response that carries this certificate alone; no signature covers those it carries."""
    response = tsp.TimeStampResp.load(token)
    carried = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
    response["time_stamp_token"]["content"]["certificates"] = cms.CertificateSet([carried])
    return bytes(response.dump())


@contextmanager
def tsa(folder: Path) -> Iterator[tuple[str, str]]:
    """A TSA at work: its address, and the certificate to trust."""
    made = authority(folder)
    with answering(lambda query: Answer(body=[made.answer(query)])) as address:
        yield address, made.root_pem


@contextmanager
def answering(
    answer: Callable[[bytes], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A server on loopback that answers queries so; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            sent = answer(query)
            self.send_response(sent.status)
            self.send_header("Content-Type", "application/timestamp-reply")
            for name, value in sent.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for some in sent.body:
                    self.wfile.write(some)
            except OSError:
                self.close_connection = True  # whoever asked has gone

        def log_message(self, format: str, *args: object) -> None:
            """Tests need no access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http{'' if tls is None else 's'}://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def tls_of(made: Authority) -> ssl.SSLContext:
    """A web server's side of TLS for loopback, under the same issuer as the TSA."""
    key, address = _key(), x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = made.issuer.certificate("localhost", key.public_key(), (address, False), serial=3)
    path = made.folder / "tls.pem"
    path.write_bytes(_private(key) + _pem(certificate).encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


_CA = (
    (x509.BasicConstraints(ca=True, path_length=None), True),
    # RFC 5280 section 4.2.1.3; without it no certificate holds from Python 3.13 on
    (
        x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        ),
        True,
    ),
)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
