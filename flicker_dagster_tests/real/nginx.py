"""nginx in front of another server, as many a receiver stands behind one: TLS, client certificates, and its own limits."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flicker_dagster_tests.real.builds import Unavailable, find
from flicker_dagster_tests.real.programs import Program, free_port, listens
from flicker_dagster_tests.tls import Authority

CONFIG = """
{user}
daemon off;
pid {folder}/pid;
error_log stderr info;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_client_certificate {ca};
    ssl_verify_client {verify};
    client_max_body_size {largest};
    {extra}
    location / {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_request_buffering on;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Front:
    """`url` shows a certificate of `authority` for 127.0.0.1."""

    url: str
    authority: Authority
    folder: Path
    program: Program

    def requests(self) -> list[str]:
        """The lines of its access log."""
        log = self.folder / "access.log"
        return log.read_text().splitlines() if log.exists() else []


@contextmanager
def before(
    upstream: str,
    folder: Path,
    *,
    largest_body_bytes: int = 64 * 1024,
    client_certificates: bool = True,
    extra: str = "",
) -> Iterator[Front]:
    """In front of the server at the URL `upstream`. `extra` are more lines for its server block."""
    nginx = find("nginx")
    if nginx is None:
        raise Unavailable("nginx: nginx is missing (Debian: nginx-light)")
    authority = Authority.in_directory(folder)
    cert, key = authority.server_files(folder)
    port, config = free_port(), folder / "nginx.conf"
    config.write_text(
        CONFIG.format(
            user="user root;" if getpass.getuser() == "root" else "",
            folder=folder,
            port=port,
            cert=cert,
            key=key,
            ca=authority.ca_path,
            verify="on" if client_certificates else "off",
            largest=largest_body_bytes,
            extra=extra,
            upstream=upstream,
        )
    )
    command = [nginx, "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with Program("nginx", command, folder=folder, ready=listens(port)) as program:
        yield Front(f"https://127.0.0.1:{port}", authority, folder, program)
