"""Microsoft's login service, as far as a daemon needs it: client credentials for one resource, in both its versions."""

from __future__ import annotations

import re

from flicker_dagster.simulator.grants import client_of, fault_of_request, granted, refused
from flicker_dagster.simulator.minting import Minting
from flicker_dagster.simulator.pages import is_for
from flicker_dagster.simulator.server import Request, Response

HOST = "login.microsoftonline.com"
_PATH = re.compile(r"/([^/]+)/oauth2/(v2\.0/)?token")

#: The simulated account: tenant and registered application.
TENANT_ID = "41463f53-8812-40f4-890f-865bf6e35190"
ACCOUNT = {
    "tenant_id": TENANT_ID,
    "client_id": "6f3c5a2e-0d1b-4c8e-9f27-1a2b3c4d5e6f",
    "client_secret": "Qx8~simulated.secret-of-the-application",
}


def is_login(request: Request) -> bool:
    return _PATH.fullmatch(request.path) is not None and is_for(request, HOST)


def login(request: Request, minting: Minting, *, resource: str) -> Response:
    """A token for `resource` (its origin): asked for as a scope in version 2, as a resource in version 1, whose numbers
    are text. Codes and texts: https://learn.microsoft.com/entra/identity-platform/reference-error-codes"""
    found = _PATH.fullmatch(request.path)
    fault = fault_of_request(request, "client_credentials")
    if fault is not None:
        code = "AADSTS70003" if fault[0] == "unsupported_grant_type" else "AADSTS900144"
        return refused(fault[0], f"{code}: {fault[1]}")
    if found is None or found[1] != TENANT_ID:
        return refused(
            "invalid_request", "AADSTS90002: Tenant not found. Check to make sure you have the correct tenant ID."
        )
    client_id, secret = client_of(request)
    if client_id != ACCOUNT["client_id"]:
        return refused("unauthorized_client", "AADSTS700016: Application was not found in the directory.")
    if secret != ACCOUNT["client_secret"]:
        return refused("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401)
    if found[2]:
        if request.form.get("scope") != f"{resource}/.default":
            return refused(
                "invalid_scope",
                f"AADSTS1002012: The provided value for scope is not valid, expected {resource}/.default",
            )
        return granted(minting, ext_expires_in=int(minting.lifetime_s))
    if request.form.get("resource", "").rstrip("/") != resource:
        return refused("invalid_resource", "AADSTS500011: The resource principal was not found in the tenant.")
    return granted(minting, expires_in=str(int(minting.lifetime_s)), resource=resource)
