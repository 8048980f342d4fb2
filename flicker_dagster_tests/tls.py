"""Servers of the simulator behind TLS, with a certificate authority of the test's own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

from flicker_dagster.simulator.server import Server


@dataclass
class Authority:
    """A CA with a server certificate for 127.0.0.1 and a client certificate, as files."""

    ca: trustme.CA
    ca_path: str
    client_cert_path: str
    client_key_path: str

    @classmethod
    def in_directory(cls, directory: Path, name: str = "ca") -> Authority:
        ca = trustme.CA()
        paths = [str(directory / f"{name}-{part}.pem") for part in ("root", "client", "key")]
        ca.cert_pem.write_to_path(paths[0])
        client = ca.issue_cert("client@example.test")
        client.cert_chain_pems[0].write_to_path(paths[1])
        client.private_key_pem.write_to_path(paths[2])
        return cls(ca, *paths)

    def server_files(self, directory: Path) -> tuple[str, str]:
        """Certificate chain and key of a server on 127.0.0.1, as files: for servers that others wrote."""
        certificate = self.ca.issue_cert("127.0.0.1")
        cert, key = directory / "server.pem", directory / "server-key.pem"
        cert.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
        return str(cert), str(key)

    def server_context(self, *, demand_client: bool = False) -> ssl.SSLContext:
        """What a server on 127.0.0.1 protects its sockets with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("127.0.0.1").configure_cert(context)
        if demand_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context

    def protect(self, server: Server, *, demand_client: bool = False) -> str:
        """Put a server behind TLS; gives its URL."""
        context = self.server_context(demand_client=demand_client)
        http = server._http
        http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
        return server.url.replace("http:", "https:")
