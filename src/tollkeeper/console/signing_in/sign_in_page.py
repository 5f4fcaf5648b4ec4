"""Sign in with a password, and ask for a new one."""

from __future__ import annotations

from typing import Final

from litestar import get, post
from litestar.params import FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import RateLimited
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form
from tollkeeper.console.rendering import say
from tollkeeper.console.signing_in import pace, store
from tollkeeper.console.signing_in.account_door import AccountDoor
from tollkeeper.console.signing_in.entrance import Entrance, go_in, let_in, safe_aim
from tollkeeper.console.signing_in.links.making import MAIL_RESET
from tollkeeper.console.signing_in.model import Account
from tollkeeper.console.signing_in.passwords import check_password
from tollkeeper.jobs import enqueue

_PAGE: Final = "signing_in/sign_in.html"
_FORGOT: Final = "signing_in/forgot.html"
_BAD: Final = 400
_LONGEST_EMAIL: Final = 254


def sign_in_pages(entrance: Entrance) -> list[ControllerRouterHandler]:
    door = entrance.door

    @get("/sign-in", include_in_schema=False)
    async def show_sign_in(
        request: AnyRequest,
        next: FromQuery[str] = "",  # noqa: A002 (the name people know it by)
    ) -> Response[bytes] | Redirect:
        session = await door.look(request)
        if session is not None:
            return go_in(session, next, [])
        form = Form(values={"next": safe_aim(next)})
        return door.guest_page(request, _PAGE, form=form, **entrance.guest_values)

    @post("/sign-in", include_in_schema=False, status_code=303)
    async def sign_in(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_guest_form(request)
        email = form.text("email").lower()[:_LONGEST_EMAIL]
        try:
            await count_try(door, request, "sign in", email)
        except RateLimited as error:
            kept = Form(values=_without_password(form), problem=error.detail)
            values = entrance.guest_values
            return slow_down(
                door.guest_page(request, _PAGE, error.status, form=kept, **values), error
            )
        account = await _known(entrance, email, form.values.get("password", ""))
        if account is None:
            wrong = Form(values=_without_password(form), problem=say("sign_in.wrong"))
            return door.guest_page(request, _PAGE, _BAD, form=wrong, **entrance.guest_values)
        async with door.door.database.transaction() as tx:
            await pace.forget(tx, pace.buckets_of("sign in", email, "")[0])
            cookies = await let_in(entrance, tx, request, account)
        return go_in(account, form.text("next"), cookies)

    return [show_sign_in, sign_in, *_forgot_pages(entrance)]


def _forgot_pages(entrance: Entrance) -> list[ControllerRouterHandler]:
    door = entrance.door

    @get("/forgot", include_in_schema=False)
    async def show_forgot(request: AnyRequest) -> Response[bytes]:
        values = entrance.guest_values
        return door.guest_page(request, _FORGOT, form=Form(), sent=False, **values)

    @post("/forgot", include_in_schema=False, status_code=200)
    async def forgot(request: AnyRequest) -> Response[bytes]:
        form, values = await door.read_guest_form(request), entrance.guest_values | {"sent": False}
        email = form.text("email").lower()[:_LONGEST_EMAIL]
        try:
            await count_try(door, request, "forgot", email)
        except RateLimited as error:
            kept = form.refused(error)
            return slow_down(
                door.guest_page(request, _FORGOT, error.status, form=kept, **values), error
            )
        if entrance.post.mails:
            # The job looks for the account: here nothing tells whether there is one.
            async with door.door.database.transaction() as tx:
                await enqueue(tx, MAIL_RESET, email=email)
        return door.guest_page(request, _FORGOT, form=form, **values | {"sent": True})

    return [show_forgot, forgot]


async def _known(entrance: Entrance, email: str, password: str) -> Account | None:
    """Return whose password it is; whether there is an account or not takes as long."""
    database = entrance.door.door.database
    async with database.connection() as connection:
        account = await store.find_account_by_email(connection, email)
    right, anew = await check_password(password, account and account.password_hash)
    if account is None or not right or account.disabled_at is not None:
        return None
    if anew is not None:
        async with database.transaction() as tx:
            await store.change_password(tx, account.account_id, anew)
    return account


async def count_try(door: AccountDoor, request: AnyRequest, act: str, email: str) -> None:
    """Raises RateLimited for who tries too often."""
    address = "" if request.client is None else request.client.host
    async with door.door.database.transaction() as tx:
        await pace.count(tx, pace.buckets_of(act, email, address), door.door.clock.now())


def slow_down(answer: Response[bytes], error: RateLimited) -> Response[bytes]:
    answer.headers["retry-after"] = str(error.members["retryAfterSeconds"])
    return answer


def _without_password(form: Form) -> dict[str, str]:
    return {name: value for name, value in form.values.items() if name != "password"}
