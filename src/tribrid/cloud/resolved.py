"""Connects to the very addresses that were judged: a name is looked up once, so it cannot lead elsewhere a moment
later.

Whoever owns a name may point it at the server's own machine's metadata service, whose answers hold keys. The request
keeps the name, as `Host` and for the certificate.
"""

from __future__ import annotations

import ipaddress
import socket
import time

import httpx

from tribrid.cloud.allowed import never_asked

_PORTS = {"http": 80, "https": 443}


class NeverAsked(Exception):
    """A host that leads where nothing is ever sent; says where."""


class Resolved(httpx.BaseTransport):
    """HTTP to judged addresses. Safe for threads."""

    def __init__(self) -> None:
        """Connects to nothing yet."""
        self._inner = httpx.HTTPTransport(verify=True, trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first of the host's addresses that takes the connection.

        Raises:
            NeverAsked: one of them is a metadata service's.
            httpx.ConnectError, httpx.ConnectTimeout: there is none, or none takes it in time.
        """
        host = request.url.raw_host.decode("ascii")
        limits = dict(request.extensions.get("timeout", {}))
        connect_s = limits.get("connect")
        deadline = None if connect_s is None else time.monotonic() + connect_s
        failure: httpx.TransportError = httpx.ConnectError(f"{host} has no address", request=request)
        for address in _addresses(host, request.url.port or _PORTS.get(request.url.scheme, 80), request):
            if deadline is not None:
                limits["connect"] = max(0.001, deadline - time.monotonic())
            try:
                return self._inner.handle_request(_sent_to(address, host, request, limits))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    def close(self) -> None:
        """Hang up."""
        self._inner.close()


def _addresses(host: str, port: int, request: httpx.Request) -> list[str]:
    """Where a host leads, each address once.

    Raises:
        NeverAsked, httpx.ConnectError.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(str(error), request=request) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if never_asked(ipaddress.ip_address(address)):
            raise NeverAsked(f"{host} leads to {address}, a link-local address or a metadata service")
    return addresses


def _sent_to(address: str, host: str, request: httpx.Request, timeout: dict[str, float | None]) -> httpx.Request:
    extensions = {**request.extensions, "timeout": timeout, "sni_hostname": host}
    url = request.url.copy_with(host=address)
    return httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
