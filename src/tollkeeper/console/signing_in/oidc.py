"""Sign-in at somebody else's: OpenID Connect, authorization code flow with PKCE.

Everything here talks to the network or to nobody; no transaction is open meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tollkeeper.base.settings_of_console import Oidc

# Asymmetric ones alone: with `none` or HS256 anybody could write a token.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_KEPT_FOR: Final = timedelta(hours=1)
# How far the provider's clock may be from ours.
_LEEWAY: Final = timedelta(seconds=60)
_LONGEST_NAME: Final = 200
_FINE: Final = 200


class SignInFailed(Exception):
    """The provider did not say who it is, or not so that it can be believed. For the log."""


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    # What the specification takes where nothing is said.
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    id_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What belongs to one try to sign in."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is to the provider. The e-mail is verified by it."""

    issuer: str
    subject: str
    email: str | None
    name: str


@dataclass(kw_only=True)
class Provider:
    """`redirect_uri` is where the provider sends people back to."""

    issuer: str
    client_id: str
    client_secret: str
    name: str
    domains: frozenset[str]
    redirect_uri: str
    _discovery: Discovery | None = field(default=None, init=False)
    _keys: KeySet | None = field(default=None, init=False)
    _read_at: datetime | None = field(default=None, init=False)

    async def start(self, attempt: Attempt, now: datetime) -> str:
        """Return where to send somebody. Raises SignInFailed."""
        found = await self.discover(now)
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid email profile",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in found.authorization_endpoint else "?"
        return f"{found.authorization_endpoint}{separator}{urlencode(query)}"

    async def finish(self, attempt: Attempt, code: str, now: datetime) -> Identity:
        """Return who came back with a code. Raises SignInFailed."""
        found = await self.discover(now)
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers: dict[str, str] = {}
        if "client_secret_basic" in found.token_endpoint_auth_methods_supported:
            login = quote(self.client_id, ""), quote(self.client_secret, "")
            headers["authorization"] = aiohttp.encode_basic_auth(*login)
        else:
            body |= {"client_id": self.client_id, "client_secret": self.client_secret}
        tokens = _read(await _ask("POST", found.token_endpoint, body, headers), Tokens)
        claims = await self._claims(tokens.id_token, found)
        self._check(claims, attempt, now)
        return self._identity(claims)

    async def discover(self, now: datetime) -> Discovery:
        """Read what the provider says of itself. Raises SignInFailed."""
        fresh = self._read_at is not None and now - self._read_at < _KEPT_FOR
        if self._discovery is not None and fresh:
            return self._discovery
        address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = _read(await _ask("GET", address), Discovery)
        if found.issuer != self.issuer:
            raise SignInFailed(f"{address} speaks for {found.issuer}")
        self._discovery, self._keys, self._read_at = found, None, now
        return found

    async def _claims(self, id_token: str, found: Discovery) -> dict[str, Any]:
        """Check the signature; a key that is not known may be new."""
        if self._keys is not None:
            try:
                return _decode(id_token, self._keys)
            except SignInFailed:
                self._keys = None
        content = await _ask("GET", found.jwks_uri)
        try:
            self._keys = KeySet.import_key_set(msgspec.json.decode(content))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise SignInFailed(f"{found.jwks_uri} has no keys: {error}") from error
        return _decode(id_token, self._keys)

    def _check(self, claims: dict[str, Any], attempt: Attempt, now: datetime) -> None:
        audience = claims.get("aud")
        audiences = cast("list[object]", audience) if isinstance(audience, list) else [audience]
        if claims.get("iss") != self.issuer:
            raise SignInFailed("the token is by another issuer")
        if self.client_id not in audiences:
            raise SignInFailed("the token is for another client")
        if claims.get("azp", self.client_id) != self.client_id:
            raise SignInFailed("the token was given to another client")
        if claims.get("nonce") != attempt.nonce:
            raise SignInFailed("the token is of another attempt")
        expires = claims.get("exp")
        if (
            not isinstance(expires, int | float)
            or now.timestamp() >= expires + _LEEWAY.total_seconds()
        ):
            raise SignInFailed("the token has expired")
        issued = claims.get("iat")
        if (
            not isinstance(issued, int | float)
            or issued > now.timestamp() + _LEEWAY.total_seconds()
        ):
            raise SignInFailed("the token is from the future")

    def _identity(self, claims: dict[str, Any]) -> Identity:
        subject, email, name = claims.get("sub"), claims.get("email"), claims.get("name")
        if not isinstance(subject, str) or not subject:
            raise SignInFailed("the token names nobody")
        verified = claims.get("email_verified") is True and isinstance(email, str)
        address = str(email).strip().lower() if verified else None
        if address is not None and self.domains and address.rpartition("@")[2] not in self.domains:
            raise SignInFailed("the e-mail is of a domain that is not listed")
        said = name if isinstance(name, str) and name.strip() else address or subject
        return Identity(
            issuer=self.issuer, subject=subject, email=address, name=said.strip()[:_LONGEST_NAME]
        )


def provider_of(settings: Oidc, base_url: str, path: str) -> Provider | None:
    if settings.issuer is None or settings.client_id is None or settings.client_secret is None:
        return None
    return Provider(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=settings.client_secret.reveal(),
        name=settings.name,
        domains=frozenset(domain.lower() for domain in settings.domains),
        redirect_uri=base_url.rstrip("/") + path,
    )


def _decode(id_token: str, keys: KeySet) -> dict[str, Any]:
    try:
        return jwt.decode(id_token, keys, algorithms=list(_ALGORITHMS)).claims
    except (JoseError, ValueError) as error:
        raise SignInFailed(f"the token is not signed by the provider: {error}") from error


async def _ask(
    method: str,
    address: str,
    body: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as client,
            client.request(
                method, address, data=body, headers=headers, allow_redirects=False
            ) as answer,
        ):
            content = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SignInFailed(f"{address} does not answer: {error!r}") from error
    if answer.status != _FINE:
        raise SignInFailed(f"{address} says {answer.status}")
    return content


def _read(content: bytes, type_: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.json.decode(content, type=type_)
    except msgspec.DecodeError as error:
        raise SignInFailed(f"the provider's answer cannot be read: {error}") from error
