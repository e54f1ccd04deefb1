"""Which addresses may be asked. The server sends requests there itself, so whoever may choose one could reach what only
the server's machine can: the operator says, in the environment, how far that goes. It is looked at when a setting
changes and whenever the address is used; where a name leads is judged when it is connected to (`resolved`).
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
_METADATA_ADDRESSES = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"))
)
"""Metadata services that are not link-local: of EC2 and Google over IPv6, of Alibaba, of Azure."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_outbound(environment: Environment, overrides: Overrides) -> None:
    """Refuse settings that would send requests where the operator did not allow any.

    Raises:
        InvalidInput: the host is not in TRIBRID_OUTBOUND_HOSTS (where that is set), or is a cloud machine's metadata
            service; names the setting.
    """
    for section, fields in overrides.items():
        for name, value in fields.items():
            if name.endswith(ADDRESS) and isinstance(value, str):
                check_address(environment, section, name, value)


def check_address(environment: Environment, section: str, name: str, url: str) -> None:
    """Refuse one address of a setting, however long ago it was set.

    Raises:
        InvalidInput: as check_outbound.
    """
    named = environment.outbound_hosts
    allowed = None if named is None else {host.strip().lower() for host in named.split(",")}
    host, setting = _host(url), f"{section}.{name}"
    if _is_metadata(host):
        what = "a link-local address or a metadata service"
        raise InvalidInput(f"{setting}: {host} is {what}, which is never asked.", setting=setting)
    own = environment.address(section, name)
    if allowed is not None and host not in allowed and not (own and host == _host(own)):
        raise InvalidInput(
            f"{setting}: {host} is not among the hosts that the operator allows (TRIBRID_OUTBOUND_HOSTS).",
            setting=setting,
        )


def never_asked(address: IpAddress) -> bool:
    """Whether an address is link-local or a cloud machine's metadata service, also inside an IPv6 address that only
    wraps an IPv4 one.
    """
    wrapped = _wrapped(address)
    return address.is_link_local or address in _METADATA_ADDRESSES or (wrapped is not None and never_asked(wrapped))


def _wrapped(address: IpAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64 or int(address) < 2**32:  # the second form is long out of use and still routed by some
        return ipaddress.IPv4Address(int(address) % 2**32)
    return address.ipv4_mapped or address.sixtofour


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def _is_metadata(host: str) -> bool:
    try:
        return never_asked(_address(host))
    except (OSError, ValueError):
        return host in _METADATA


def _address(host: str) -> IpAddress:
    """The address that a host is in any spelling that a connection takes: 169.254.169.254 is 2852039166 too.

    Raises:
        OSError, ValueError: it is a name.
    """
    return ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
