"""What the playground does: read what is to be sent, have it answered, say why it is not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from litestar.response import Redirect, Response
from litestar.types import ASGIApp, Scope

from tollkeeper import metering, orgs
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import named_uuid, read_id, show_id
from tollkeeper.base.money import Money
from tollkeeper.console.chatting import (
    MAX_ANSWER_TOKENS,
    MAX_TALK,
    MAX_TEXT,
    Catcher,
    Chat,
    Foreseen,
    Model,
    Refused,
    Said,
    body_of,
    read_answer,
    read_refusal,
    read_talk,
    write_talk,
)
from tollkeeper.console.customer.naming import Offer, read_chosen, read_names, read_offers
from tollkeeper.console.doors import AnyRequest, Door, session_of
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say, show_price
from tollkeeper.console.shelves import Shelves
from tollkeeper.http.asgi import Message, respond
from tollkeeper.metering import UsageRecordInFull
from tollkeeper.orgs import Guest, ProjectNotFound

_PATH: Final = "/console/playground"
_LONGEST: Final = 1024
_FAVOURITES: Final = ("sandbox-small", "gpt-5-mini", "gpt-4o-mini")
_TAGS: Final = {"source": "playground"}
_HEADERS: Final = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_BAD: Final = 400
_PAYMENT_REQUIRED: Final = 402
_TOO_MANY: Final = 429

# Which words go with which refusal; budgets have codes of their own that end alike.
_KINDS: Final = {
    "insufficient_credits": "credit",
    "allowance_exhausted": "allowance",
    "wallet_frozen": "frozen",
    "rate_limit_exceeded": "rate",
    "request_exceeds_rate_limit": "rate",
    "model_not_priced": "model",
    "model_not_found": "model",
    "not_offered": "model",
    "request_in_progress": "twice",
    "idempotency_key_reused": "twice",
    "already_charged": "twice",
    "answer_not_kept": "twice",
    "forbidden": "looking",
    "unbounded_request": "request",
    "invalid_request": "request",
}


# An organization's credit is not the operator's to spend.
_ONLY_LOOKING: Final = Refused(status=403, code="forbidden", message="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants to send. `talk` ends with it."""

    guest: Guest
    model: str
    system: str
    longest: int
    talk: Sequence[Said]
    usage_id: UUID

    def body(self, *, stream: bool) -> bytes:
        return body_of(self.model, self.system, self.talk, stream=stream)


class _Faulty(Exception):
    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form


class Room:
    """What the routes share."""

    def __init__(self, door: Door, shelves: Shelves) -> None:
        self._door = door
        self._chat: Chat = shelves.chat
        self._prices = shelves.prices

    async def show(
        self, request: AnyRequest, form: Form, status: int = 200, **more: object
    ) -> Response[bytes]:
        session = session_of(request)
        projects = await self._projects(session, form.text("project"))
        models = await self._chat.models(livemode=session.livemode)
        filled = Form(
            values=_defaults(models, projects) | dict(form.values),
            faults=form.faults,
            problem=form.problem,
        )
        try:
            talk = read_talk(filled.text("talk"))
        except ValueError:
            talk = []
        known: dict[str, object] = {"foreseen": None, "refused": None, "record": None}
        return self._door.page(
            request,
            "customer/playground.html",
            status,
            **{
                **known,
                "form": filled,
                "talk": talk,
                "sellers": {
                    seller: list(found)
                    for seller, found in groupby(models, key=lambda one: one.seller)
                },
                "price": _price,
                "projects": projects,
                "send_id": secrets.token_hex(16),
                "longest": MAX_ANSWER_TOKENS,
                "most_text": MAX_TEXT,
                **more,
            },
        )

    async def _read(self, session: Session, form: Form) -> Draft:
        """Raises _Faulty."""
        faults: dict[str, str] = {}
        text, longest = form.text("text"), form.text("longest") or str(_LONGEST)
        if not 1 <= len(text) <= MAX_TEXT:
            faults["text"] = say("playground.text_fault", most=MAX_TEXT)
        few = len(longest) <= len(str(MAX_ANSWER_TOKENS))
        if not (longest.isdecimal() and few and 1 <= int(longest) <= MAX_ANSWER_TOKENS):
            faults["longest"] = say("playground.longest_fault", most=MAX_ANSWER_TOKENS)
        if not form.text("model"):
            faults["model"] = say("playground.model_fault")
        project_id = await self._read_project(session, form.text("project"), faults)
        talk = _read_talk(form, faults)
        if faults or project_id is None:
            problem = faults.pop("talk", "")
            raise _Faulty(replace(form, faults=faults, problem=problem))
        return Draft(
            guest=Guest(
                org_id=session.org_id,
                project_id=project_id,
                livemode=session.livemode,
                member_id=session.member_id,
            ),
            model=form.text("model"),
            system=form.text("system"),
            longest=int(longest),
            talk=[*talk, Said(role="user", content=text)],
            usage_id=named_uuid(session.session_id, f"playground/{form.text('send_id')}"),
        )

    async def take(self, request: AnyRequest) -> Response[bytes] | Redirect:
        """Do what the form says, without a script."""
        form = await self._door.read_form(request)
        if form.text("do") == "clear":
            return go_on(_PATH)
        try:
            draft = await self._read(session_of(request), form)
        except _Faulty as why:
            return await self.show(request, why.form, _BAD)
        if form.text("do") == "estimate":
            return await self.show(request, form, foreseen=self._foresee(draft))
        if session_of(request).looking:
            words = self._words(session_of(request), _ONLY_LOOKING)
            return await self.show(request, form, _ONLY_LOOKING.status, refused=words)
        return await self._send(request, form, draft)

    async def estimate(self, request: AnyRequest) -> Foreseen | Refused | None:
        form = await self._door.read_form(request)
        try:
            return self._foresee(await self._read(session_of(request), form))
        except _Faulty:
            return None

    async def stream(self, request: AnyRequest) -> ASGIApp:
        form = await self._door.read_form(request)
        try:
            draft = await self._read(session_of(request), form)
        except _Faulty as why:
            said = [said for said in (*why.form.faults.values(), why.form.problem) if said]
            refused = Refused(status=_BAD, code="invalid_request", message=" ".join(said))
            return lambda _scope, _receive, send: self._refuse(request, refused, send)
        if session_of(request).looking:
            return lambda _scope, _receive, send: self._refuse(request, _ONLY_LOOKING, send)
        return self._streaming(request, draft)

    def _foresee(self, draft: Draft) -> Foreseen | Refused:
        """Say what it would cost at most, or why it would be refused."""
        try:
            return self._chat.foresee(draft.guest, draft.body(stream=False), draft.longest)
        except TollkeeperError as error:
            return Refused(status=error.status, code=error.code, message=error.detail)

    async def _send(self, request: AnyRequest, form: Form, draft: Draft) -> Response[bytes]:
        """Answer with the page, and the whole answer in it."""
        caught = Catcher()
        await self._answer(draft, _nobody_leaves, caught, stream=False)
        if not caught.passes:
            refused = read_refusal(caught.status, caught.body)
            shown = self._words(session_of(request), refused)
            return await self.show(request, form, refused.status, refused=shown)
        call = show_id("use", draft.usage_id)
        record = await self.find_record(session_of(request), call)
        said = Said(role="assistant", content=read_answer(caught.body), call=call)
        talk = write_talk([*draft.talk, said])
        answered = Form(values={**form.values, "talk": talk, "text": ""})
        return await self.show(request, answered, record=record)

    def _streaming(self, request: AnyRequest, draft: Draft) -> ASGIApp:
        """Answer as it is written; where nothing is, with a part of a page that says why."""

        async def run(_scope: Scope, receive: Any, send: Any) -> None:
            named = show_id("use", draft.usage_id).encode()
            headers = [(b"x-tollkeeper-usage", named), *_HEADERS]
            caught = Catcher(send, headers, sees_money=session_of(request).sees_money)
            await self._answer(draft, receive, caught, stream=True)
            if not caught.passes:
                await self._refuse(request, read_refusal(caught.status, caught.body), send)

        return run

    async def _refuse(self, request: AnyRequest, refused: Refused, send: Any) -> None:
        words = self._words(session_of(request), refused)
        part = self._door.page(request, "customer/playground_refused.html", refused=words)
        kind = (b"content-type", b"text/html; charset=utf-8")
        await respond(send, refused.status, part.content, [kind, *_HEADERS])

    async def find_record(self, session: Session, usage_id: str) -> UsageRecordInFull:
        async with self._door.database.connection() as connection:
            return await metering.read_record(connection, self._prices, session, usage_id)

    async def _answer(self, draft: Draft, receive: Any, send: Catcher, *, stream: bool) -> None:
        await self._chat.answer(
            draft.guest,
            draft.body(stream=stream),
            receive,
            send,
            most_tokens=draft.longest,
            usage_id=draft.usage_id,
            tags=_TAGS,
        )

    async def _projects(self, session: Session, chosen: str) -> Offer:
        async with self._door.database.connection() as connection:
            names = await read_names(connection, session.org_id, [chosen], archived=False)
            offers = await read_offers(connection, session.org_id, names, {"project": chosen})
        return offers["project"]

    async def _read_project(
        self, session: Session, said: str, faults: dict[str, str]
    ) -> UUID | None:
        """A project in use, by its id or name."""
        async with self._door.database.connection() as connection:
            found, wrong = await read_chosen(
                connection, session.org_id, {"project": said}, {"project": "project"}
            )
            try:
                project_id = read_id("prj", found["project"])
                await orgs.get_project(connection, session.org_id, project_id)
            except (ValueError, ProjectNotFound):
                faults["project"] = wrong.get("project", [say("playground.project_fault")])[0]
                return None
        return project_id

    def _words(self, session: Session, refused: Refused) -> Mapping[str, object]:
        kind = _KINDS.get(refused.code, "budget" if _is_limit(refused) else "provider")
        hint = f"playground.refused.{kind}_hint"
        # What others have left, members are not told; the gateway's words may say it.
        told = session.sees_money or kind not in {"credit", "allowance", "budget", "frozen"}
        return {
            "kind": kind,
            "title": say(f"playground.refused.{kind}"),
            "hint": say(hint),
            "message": refused.message if told else "",
            "required": refused.amount("required"),
            "available": refused.amount("available"),
            "currency": refused.metadata.get("currency") or "USD",
            "affordable": refused.metadata.get("affordableMaxTokens"),
        }


@lru_cache(maxsize=4096)  # Hundreds of models share a few prices, which take long to write.
def _price(amount: Money) -> str:
    return show_price(amount).striptags()


def _is_limit(refused: Refused) -> bool:
    return refused.status in {_PAYMENT_REQUIRED, _TOO_MANY}


def _read_talk(form: Form, faults: dict[str, str]) -> list[Said]:
    text = form.text("talk")
    if len(text) > MAX_TALK:
        faults["talk"] = say("playground.talk_long")
        return []
    try:
        return read_talk(text)
    except ValueError:
        faults["talk"] = say("playground.talk_fault")
        return []


def _defaults(models: Sequence[Model], projects: Offer) -> dict[str, str]:
    names = [one.name for one in models]
    favourite = next((name for name in _FAVOURITES if name in names), names[0] if names else "")
    first = projects.options[0][0] if projects.options else ""
    plain = dict.fromkeys(("system", "talk", "text"), "")
    return plain | {"model": favourite, "project": first, "longest": str(_LONGEST)}


async def _nobody_leaves() -> Message:
    await asyncio.get_running_loop().create_future()
    return {"type": "http.disconnect"}
