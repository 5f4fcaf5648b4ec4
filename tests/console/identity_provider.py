"""A provider of sign-in over real HTTP, which can be told to lie."""

from __future__ import annotations

import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

CLIENT_ID = "tollkeeper"
CLIENT_SECRET = "a secret: with signs"


@dataclass
class IdentityProvider:
    now: Callable[[], datetime]
    issuer: str = ""
    key: RSAKey | ECKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    claims: dict[str, Any] = field(default_factory=dict)
    """What the next token says, over what is true; None leaves a claim out."""
    write: Callable[[dict[str, Any]], str] | None = None
    asked: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    status: int = 200

    def grant(self, address: str) -> str:
        """Be the person who signs in: take the authorization request, return where it leads."""
        parts = urlsplit(address)
        self.asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        code = secrets.token_hex(8)
        self.codes[code] = self.asked
        query = urlencode({"code": code, "state": self.asked["state"]})
        return f"{self.asked['redirect_uri']}?{query}"

    def token(self, nonce: str) -> str:
        now = int(self.now().timestamp())
        said = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "person-1",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "ada@example.org",
            "email_verified": True,
            "name": "Ada",
        } | self.claims
        true = {name: value for name, value in said.items() if value is not None}
        return self.write(true) if self.write else self.sign(true, self.key)

    def sign(self, claims: dict[str, Any], key: RSAKey | ECKey) -> str:
        alg = "RS256" if isinstance(key, RSAKey) else "ES256"
        return jwt.encode({"alg": alg, "kid": key.kid}, claims, key)

    def with_public_key_as_secret(self, claims: dict[str, Any]) -> str:
        """HS256 with what everybody knows: the classic."""
        secret = OctKey.import_key(self.key.as_pem(private=False))
        return jwt.encode({"alg": "HS256", "kid": self.key.kid}, claims, secret)

    async def discover(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    async def keys(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def exchange(self, request: web.Request) -> web.Response:
        sent = await request.post()
        asked = self.codes.pop(str(sent["code"]), None)
        login = b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        digest = sha256(str(sent["code_verifier"]).encode()).digest()
        proved = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or login != f"{CLIENT_ID}:a%20secret%3A%20with%20signs"
            or asked["code_challenge"] != proved
            or asked["code_challenge_method"] != "S256"
            or sent["redirect_uri"] != asked["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        body = {"id_token": self.token(asked["nonce"]), "access_token": "x", "token_type": "Bearer"}
        return web.json_response(body, status=self.status)


@asynccontextmanager
async def provider_served(now: Callable[[], datetime]) -> AsyncGenerator[IdentityProvider]:
    provider = IdentityProvider(now)
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.discover)
    app.router.add_get("/keys", provider.keys)
    app.router.add_post("/token", provider.exchange)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield provider
    finally:
        await runner.cleanup()
