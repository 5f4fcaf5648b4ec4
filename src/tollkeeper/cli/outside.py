"""What `doctor` asks of those outside: the payment processor, the mail server, the sign-in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tollkeeper.cli.checks import Finding

if TYPE_CHECKING:
    from tollkeeper.base.settings import Settings


async def check_outside(settings: Settings) -> AsyncGenerator[Finding]:
    """Each is asked once, for something that changes nothing there."""
    yield await _check_processor(settings)
    yield await _check_mail(settings)
    if settings.oidc.issuer is not None:
        yield await _check_sign_in(settings)


async def _check_processor(settings: Settings) -> Finding:
    if settings.stripe.secret_key is None:
        return Finding("payments", "ok", "no processor: credit is bought in test mode only")
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.errors import TollkeeperError
    from tollkeeper.payments.processors.stripe import open_stripe

    clock = SystemClock()
    try:
        async with open_stripe(settings.stripe, clock) as processor:
            async for _ in processor.events(clock.now()):
                break
            mode = "live" if processor.livemode else "test"
    except TollkeeperError as error:
        advice = "Is stripe.secret_key right, and can this machine reach stripe.api_base?"
        return Finding("payments", "failed", f"Stripe: {error.detail}", advice)
    if settings.stripe.webhook_secret is None:
        advice = "Set stripe.webhook_secret: without webhooks payments are seen minutes later."
        return Finding("payments", "warning", f"Stripe answers, {mode} mode, no webhooks", advice)
    return Finding("payments", "ok", f"Stripe answers, {mode} mode")


async def _check_mail(settings: Settings) -> Finding:
    from tollkeeper.notifications.mail import greet, server_of

    server = server_of(settings.mail)
    if server is None:
        return Finding("mail", "ok", "no mail server: notices stay in the console and webhooks")
    where = f"{server.host}:{server.port}"
    refused = await greet(server)
    if refused is not None:
        advice = "Are mail.host, mail.port, mail.security, mail.username and mail.secret right?"
        return Finding("mail", "failed", f"{where}: {refused}", advice)
    return Finding("mail", "ok", f"{where} answers")


async def _check_sign_in(settings: Settings) -> Finding:
    from tollkeeper.console.signing_in.oidc import SignInFailed, provider_of

    provider = provider_of(settings.oidc, settings.server.public_url or "", "")
    if provider is None:
        return Finding(
            "sign-in", "failed", "oidc lacks a setting", "See docs/reference/settings.md."
        )
    try:
        await provider.discover(datetime.now(UTC))
    except SignInFailed as error:
        return Finding("sign-in", "failed", str(error), "Is oidc.issuer the provider's own name?")
    return Finding("sign-in", "ok", f"{settings.oidc.issuer} answers")
