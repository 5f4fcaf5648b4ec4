"""Sign-in at a provider: who gets in by it, and every token that is not believed."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from browsing import Browser, Page, browser, make_account
from identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, provider_served
from joserfc.jwk import ECKey, RSAKey

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.setting_types import Secret
from tollkeeper.base.settings import Settings
from tollkeeper.base.settings_of_console import Oidc
from tollkeeper.console.signing_in import passwords, store
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links.making import NewLink, Post
from tollkeeper.console.signing_in.model import Account, Purpose, StaffRole
from whole import Whole, whole_served

ACCOUNT = "/console/account"
STAFF = "/console/staff/staff"


@pytest.fixture
async def provider(clock: MovableClock) -> AsyncIterator[IdentityProvider]:
    async with provider_served(clock.now) as served:
        yield served


@pytest.fixture
async def whole(
    database_url: str, clock: MovableClock, provider: IdentityProvider
) -> AsyncIterator[Whole]:
    oidc = Oidc(
        issuer=provider.issuer,
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        name="Example ID",
        domains=["example.org"],
    )
    async with whole_served(database_url, Settings(oidc=oidc), clock=clock) as served:
        yield served


async def come_back(one: Browser, provider: IdentityProvider, query: str = "") -> Page:
    """Go to the provider, say yes, and come back."""
    sent = await one.open(f"/console/oidc/start{query}")
    assert sent.status == 303, sent.text
    assert sent.location.startswith(f"{provider.issuer}/authorize?")
    return await one.open(provider.grant(sent.location))


async def link_to_staff(whole: Whole, email: str) -> str:
    new = NewLink(
        purpose=Purpose.STAFF, made_by="boss@example.org", email=email, staff_role=StaffRole.VIEWER
    )
    async with whole.database.transaction() as tx:
        return await making.make(
            tx,
            new,
            Post(base_url=whole.url, mails=False),
            chance=bytes(range(32)),
            now=whole.app.rooms.clock.now(),
        )


async def known(whole: Whole) -> Account:
    return await make_account(whole, email="ada@example.org", staff="viewer")


async def test_a_verified_e_mail_finds_the_account_and_then_the_subject_does(
    whole: Whole, provider: IdentityProvider
) -> None:
    account = await known(whole)
    async with whole.database.transaction() as tx:
        hashed = await passwords.hash_password("somebody else chose this")
        await store.change_password(tx, account.account_id, hashed)
    async with browser(whole) as one, browser(whole) as other:
        assert "Continue with Example ID" in (await one.open("/console/sign-in")).text
        done = await come_back(one, provider, "?next=/console/staff/staff")
        assert (done.status, done.location) == (303, STAFF)
        assert (await one.open(STAFF)).status == 200
        assert provider.asked["scope"] == "openid email profile"
        # The e-mail is proved by now: a password that was set before it was is gone.
        async with whole.database.connection() as connection:
            found = await store.find_account(connection, account.account_id)
        assert found is not None
        assert found.password_hash is None
        provider.claims = {"email": "ada.changed@example.org"}
        assert (await come_back(other, provider)).location == "/console/staff"
        provider.claims = {"sub": "person-2"}
        async with browser(whole) as third:
            # Another subject that has the same verified e-mail is the same person there.
            assert (await come_back(third, provider)).location == "/console/staff"
            assert (await one.open(STAFF)).status == 303


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"iss": "https://another.example"},
        {"exp": 1},
        {"exp": None},
        {"iat": 9_999_999_999},
        {"sub": ""},
        {"email": "ada@elsewhere.example"},
    ],
    ids=str,
)
async def test_a_token_that_says_something_else_is_not_believed(
    whole: Whole, provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    await known(whole)
    provider.claims = claims
    async with browser(whole) as one:
        answer = await come_back(one, provider)
        assert answer.status == 401
        assert "did not confirm who you are" in answer.text
        assert "tollkeeper_account" not in answer.set_cookie
        assert (await one.open(ACCOUNT)).status == 303


def unsigned(claims: dict[str, Any]) -> str:
    parts = [msgspec.json.encode(part) for part in ({"alg": "none", "kid": "one"}, claims)]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


async def test_only_the_providers_signature_is_believed(
    whole: Whole, provider: IdentityProvider
) -> None:
    await known(whole)
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    async with browser(whole) as one:

        def by_a_stranger(claims: dict[str, Any]) -> str:
            return provider.sign(claims, stranger)

        def bent(claims: dict[str, Any]) -> str:
            return provider.sign(claims, provider.key)[:-6] + "AAAAAA"

        def nonsense(_: dict[str, Any]) -> str:
            return "nonsense"

        in_public = provider.with_public_key_as_secret
        for write in (unsigned, in_public, by_a_stranger, bent, nonsense):
            provider.write = write
            answer = await come_back(one, provider)
            assert answer.status == 401, answer.text
            assert "tollkeeper_account" not in answer.set_cookie
        provider.write = None
        # The provider has another key from now on, of another kind.
        assert (await come_back(one, provider)).status == 303
        provider.key = ECKey.generate_key("P-256", {"kid": "two"})
        assert (await come_back(one, provider)).status == 303


async def test_an_answer_is_for_the_browser_that_asked_and_works_once(
    whole: Whole, provider: IdentityProvider, clock: MovableClock
) -> None:
    await known(whole)
    async with browser(whole) as one, browser(whole) as other:
        sent = await one.open("/console/oidc/start")
        answer = provider.grant(sent.location)
        assert (await other.open(answer)).status == 401
        await other.open("/console/oidc/start")
        assert (await other.open(answer)).status == 401
        assert (await one.open(answer)).status == 303
        again = await one.open(answer)
        assert again.status == 401
        assert "began in another browser" in again.text
        late = provider.grant((await other.open("/console/oidc/start")).location)
        clock.advance(timedelta(minutes=10))
        assert (await other.open(late)).status == 401
        denied = await other.open("/console/oidc/start")
        state = denied.location.split("state=")[1].split("&")[0]
        path = f"/console/oidc/callback?error=access_denied&state={state}"
        assert (await other.open(path)).status == 401


async def test_nobody_gets_in_without_account_or_invitation(
    whole: Whole, provider: IdentityProvider
) -> None:
    async with browser(whole) as one:
        stranger = await come_back(one, provider)
        assert stranger.status == 401
        assert "no account and no invitation" in stranger.text
        link = await link_to_staff(whole, "ada@example.org")
        provider.claims = {"email_verified": False}
        assert "does not vouch" in (await come_back(one, provider)).text
        provider.claims = {"email_verified": "true"}
        assert (await come_back(one, provider)).status == 401
        provider.claims = {"email": "eve@example.org"}
        token = link.rpartition("/")[2]
        assert (await come_back(one, provider, f"?link={token}")).status == 401
        provider.claims = {}
        assert "Continue with Example ID" in (await one.open(link)).text
        assert (await come_back(one, provider, f"?link={token}")).location == "/console/staff"
        assert "Ada · Viewer" in (await one.open(STAFF)).text
        assert (await one.open(link)).status == 401


async def test_a_disabled_account_stays_out(whole: Whole, provider: IdentityProvider) -> None:
    account = await known(whole)
    async with browser(whole) as one:
        assert (await come_back(one, provider)).status == 303
        async with whole.database.transaction() as tx:
            await store.change_disabled(tx, account.account_id, whole.app.rooms.clock.now())
        assert (await one.open(STAFF)).status == 303
        assert (await come_back(one, provider)).status == 401


async def test_a_provider_that_fails_is_said_so(whole: Whole, provider: IdentityProvider) -> None:
    await known(whole)
    async with browser(whole) as one:
        provider.status = 500
        answer = await come_back(one, provider)
        assert answer.status == 401
        assert "did not confirm who you are" in answer.text
