"""Which addresses settings may name. The server sends requests there itself, so whoever may choose one could reach what
only the server's machine can: the operator says, in the environment, how far that goes.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from tribrid.config import Environment, Overrides
from tribrid.errors import InvalidInput

ADDRESS = "_url"
"""How the name of a setting ends that holds an address."""
_METADATA = frozenset({"metadata", "metadata.google.internal"})
_METADATA_ADDRESS = ipaddress.ip_address("fd00:ec2::254")


def check_outbound(environment: Environment, overrides: Overrides) -> None:
    """Refuse settings that would send requests where the operator did not allow any.

    Raises:
        InvalidInput: the host is not in TRIBRID_OUTBOUND_HOSTS (where that is set), or is a cloud machine's metadata
            service; names the setting.
    """
    named = environment.outbound_hosts
    allowed = None if named is None else {host.strip().lower() for host in named.split(",")}
    for section, fields in overrides.items():
        for name, value in fields.items():
            if not name.endswith(ADDRESS) or not isinstance(value, str):
                continue
            host, setting = _host(value), f"{section}.{name}"
            if _is_metadata(host):
                raise InvalidInput(f"{setting}: {host} is a link-local address, which is never asked.", setting=setting)
            own = environment.address(section, name)
            if allowed is not None and host not in allowed and not (own and host == _host(own)):
                raise InvalidInput(
                    f"{setting}: {host} is not among the hosts that the operator allows (TRIBRID_OUTBOUND_HOSTS).",
                    setting=setting,
                )


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def _is_metadata(host: str) -> bool:
    try:
        address = _address(host)
    except (OSError, ValueError):
        return host in _METADATA
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local or address == _METADATA_ADDRESS


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that a host is in any spelling that a connection takes: 169.254.169.254 is 2852039166 too.

    Raises:
        OSError, ValueError: it is a name.
    """
    return ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
