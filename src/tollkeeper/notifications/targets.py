"""Where webhooks may go: to the public internet, and nowhere inside, however it is spelled."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

# Addresses that carry an IPv4 address in their last 32 bits, which is what counts.
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_LONGEST_URL: Final = 2000
_INSIDE: Final = "must not be an address inside a network"
_UNREAD: Final = "must name a host, or an address as it is usually written"


class TargetRefused(OSError):
    """Webhooks may not be sent there."""


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """Say what is wrong with an address for webhooks, before any name is looked up."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "must be a URL"
    if len(url) > _LONGEST_URL or any(not 0x20 < ord(letter) < 0x7F for letter in url):  # noqa: PLR2004 (the printable letters)
        return f"must be a URL of at most {_LONGEST_URL} plain letters"
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        return "must begin with https://"
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return "must name a host, without user, password or fragment"
    return None if allow_private else _host_fault(host)


def _host_fault(host: str) -> str | None:
    address = _literal(host)
    if address is not None:
        return None if is_public(address) else _INSIDE
    # Who connects takes these for addresses and looks nothing up, so nothing would be checked.
    return _UNREAD if ":" in host or host.replace(".", "").isdecimal() else None


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = _embedded(found)
        if inner is not None:
            found = inner
        elif found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _NAT64) or int(address) >> 32 == 0:
        return low
    return None


def _literal(host: str) -> str | None:
    try:
        ip_address(host)
    except ValueError:
        return None
    return host


class GuardedResolver(AbstractResolver):
    """Looks names up for aiohttp, and gives it only addresses that were checked: the connection
    goes to the very address that was looked at, so a name cannot change its mind in between."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raise TargetRefused when any address of the name lies inside."""
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM
        )
        addresses = [(kind, str(address[0])) for kind, _, _, _, address in found]
        if not self._allow_private and not all(is_public(address) for _, address in addresses):
            raise TargetRefused(f"{host} is an address inside a network")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept open."""
