"""What cannot be undone is done once its name was typed, as it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from litestar import get, post
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import Forbidden, NotFound, TollkeeperError
from tollkeeper.console.customer.saying import refuse
from tollkeeper.console.doors import AnyRequest, Door, Guard
from tollkeeper.console.forms import Form, Question
from tollkeeper.console.rendering import say

_SERVER: Final = 500

T = TypeVar("T")


def destroying_pages(
    door: Door,
    path: str,
    *guards: Guard,
    find: Callable[[AnyRequest], Awaitable[T]],
    ask: Callable[[T], Question],
    destroy: Callable[[AnyRequest, T], Awaitable[Redirect]],
) -> list[ControllerRouterHandler]:
    """A page that asks for the name of what was found, and its act. What `destroy` refuses is said
    on the page."""

    @get(path, include_in_schema=False, guards=guards)
    async def show_question(request: AnyRequest) -> Response[bytes]:
        return door.ask_back(request, ask(await find(request)), Form())

    @post(path, include_in_schema=False, guards=guards, status_code=200)
    async def take_answer(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        found = await find(request)
        question = ask(found)
        if not form.confirms(question.name):
            wrong = say("confirm.mismatch", name=question.name)
            return door.ask_back(request, question, form.faulty(confirmation=wrong))
        try:
            return await destroy(request, found)
        except (Forbidden, NotFound):
            raise
        except TollkeeperError as error:
            if error.status >= _SERVER:
                raise
            return door.ask_back(request, question, refuse(form, error))

    return [show_question, take_answer]
