"""Webhooks go to the public internet, and nowhere inside, however the address is spelled."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tollkeeper.notifications import Courier
from tollkeeper.notifications.targets import GuardedResolver, TargetRefused, is_public, url_fault

INSIDE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",  # noqa: S104 (an address to refuse)
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "feff::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_6_addresses_inside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111"])
def test_6_addresses_outside(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https:///path",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://example.com/#part",
        "https://example.com:99999/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fec0::1]/",
        # No addresses, and yet who connects looks them up past the check.
        "https://127.0.0.1./",
        "https://127.000.000.001/",
        "https://1.1.1.1.1/",
        "https://8.8.8/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "javascript:alert(1)",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_6_urls_with_faults(url: str) -> None:
    assert url_fault(url, allow_private=False) is not None


def test_6_a_url_without_fault() -> None:
    assert url_fault("https://example.com:8443/hooks?a=b", allow_private=False) is None
    assert url_fault("https://1.1.1.1.example.com/", allow_private=False) is None
    assert url_fault("https://[2606:4700::1111]:8443/", allow_private=False) is None
    assert url_fault("http://127.0.0.1:80/", allow_private=True) is None


@pytest.mark.parametrize(
    "spelled", ["127.1", "0x7f000001", "2130706433", "017700000001", "localhost"]
)
async def test_6_other_spellings_of_here_are_refused(spelled: str) -> None:
    async with Courier.open() as courier:
        assert await courier.fault_of(f"https://{spelled}/") is not None


async def test_6_a_name_with_one_address_inside_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = _answering(["93.184.215.14", "10.0.0.1"])
    loop = __import__("asyncio").get_running_loop()
    monkeypatch.setattr(type(loop), "getaddrinfo", answers, raising=False)
    with pytest.raises(TargetRefused):
        await GuardedResolver(allow_private=False).resolve("example.com", 443)


def _answering(addresses: list[str]) -> Callable[..., Any]:
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in addresses]

    return getaddrinfo
