"""The fake's HTTP: keys, idempotency, faults, and the pages that a customer would see."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from fake_stripe import aftermath, checkout, intents, routes, subscriptions
from fake_stripe.faults import How, Plan
from fake_stripe.state import API_VERSION, Fault, Json, State, snapshot
from fake_stripe.webhooks import Webhooks

SECRET_KEY = "sk_test_fake"
WEBHOOK_SECRET = "whsec_fake"

_HTML = "text/html"


@dataclass
class Kept:
    """What a key was first used for, and what was answered; None while that is under way."""

    fingerprint: str
    answer: tuple[int, Json] | None = None


@dataclass
class FakeStripe:
    """`charged` and `refunded` count what cardholders would see on their statements."""

    state: State
    webhooks: Webhooks
    plans: list[Plan] = field(default_factory=list[Plan])
    requests: list[str] = field(default_factory=list[str])
    # The idempotency key of each POST that came, in order; None where there was none.
    keys: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    # How long an act takes: with it, requests under the same key do meet.
    seconds: float = 0.0
    _keys: dict[str, Kept] = field(default_factory=dict[str, Kept])

    @property
    def base(self) -> str:
        return self.state.base

    # ── What a test may ask ──────────────────────────────────────────────────────────────────────

    def charges(self, **metadata: str) -> list[Json]:
        """Successful charges, of the payments with that metadata."""
        return [
            charge
            for charge in self.state.all("charge")
            if charge["status"] == "succeeded" and metadata.items() <= charge["metadata"].items()
        ]

    @property
    def charged(self) -> int:
        return sum(charge["amount"] for charge in self.charges())

    @property
    def refunded(self) -> int:
        return sum(charge["amount_refunded"] for charge in self.charges())

    # ── What a test may do ───────────────────────────────────────────────────────────────────────

    def fail(
        self, path: str, how: How, *, method: str = "POST", times: int = 1, after: int = 0
    ) -> None:
        """Let the next requests whose path matches fail, the first `after` of them spared."""
        self.plans.append(Plan(method, re.compile(path), how, times, after))

    def heal(self) -> None:
        self.plans.clear()

    def forget_keys(self) -> None:
        """A day has gone by."""
        self._keys.clear()

    def tick(self) -> None:
        """Bill what the time has come for; every request does so too."""
        subscriptions.tick(self.state)

    def dispute(
        self,
        intent: str,
        amount: int | None = None,
        *,
        inquiry: bool = False,
        reason: str = "fraudulent",
    ) -> Json:
        return aftermath.open_dispute(self.state, intent, amount, inquiry=inquiry, reason=reason)

    def refund_by_hand(self, intent: str, amount: int | None = None) -> Json:
        """A refund that somebody made in Stripe's dashboard."""
        asked = {} if amount is None else {"amount": str(amount)}
        return aftermath.refund(self.state, {"payment_intent": intent, **asked})

    def escalate(self, dispute: Json) -> None:
        aftermath.escalate(self.state, dispute)

    def close_dispute(self, dispute: Json, outcome: str) -> None:
        aftermath.close_dispute(self.state, dispute, outcome)

    def finish_processing(self, intent: str, *, succeeds: bool) -> None:
        aftermath.finish_processing(self.state, self.state.objects[intent], succeeds=succeeds)

    def finish_refund(self, refund: str, *, succeeds: bool) -> None:
        made = self.state.objects[refund]
        (aftermath.finish_refund if succeeds else aftermath.fail_refund)(self.state, made)

    # ── HTTP ─────────────────────────────────────────────────────────────────────────────────────

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/v1/{rest:.*}", self._api)
        app.router.add_get("/3ds/{ref}", self._bank_page)
        app.router.add_post("/3ds/{ref}", self._bank_answer)
        app.router.add_get("/pay/{ref}", self._pay_page)
        app.router.add_post("/pay/{ref}", self._pay_answer)
        app.router.add_get("/pay/{ref}/done", self._pay_done)
        app.router.add_post("/_fake/{act}", self._control)
        app.router.add_get("/_fake/state", self._show)
        return app

    async def _api(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if request.method == "POST":
            self.keys.append((request.path, request.headers.get("idempotency-key")))
        plan = next((p for p in self.plans if p.applies(request.method, request.path)), None)
        how = How.WELL if plan is None else plan.how
        if how in (How.HANGS_BEFORE, How.LOST_BEFORE):
            return await _no_answer(request, how, None)
        if how in _AT_THE_DOOR:
            return _AT_THE_DOOR[how]()
        status, body, replayed = await self._answer(request, fails=how is How.ERROR_AFTER)
        if how in (How.HANGS_AFTER, How.LOST_AFTER, How.CUT_SHORT):
            return await _no_answer(request, how, body)
        headers = {"request-id": self.state.new_id("req"), "stripe-version": API_VERSION}
        if replayed:
            headers["idempotent-replayed"] = "true"
        return _json(status, body, headers)

    async def _answer(self, request: web.Request, *, fails: bool) -> tuple[int, Json, bool]:
        text = (await request.read()).decode()
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        try:
            _check_caller(request)
            if key is None:
                return (*await self._act(request, text, fails=fails), False)
            return await self._act_once(request, text, key, fails=fails)
        except Fault as fault:
            return fault.status, fault.body, False

    async def _act_once(
        self, request: web.Request, text: str, key: str, *, fails: bool
    ) -> tuple[int, Json, bool]:
        fingerprint = hashlib.sha256(f"{request.path}\n{text}".encode()).hexdigest()
        kept = self._keys.get(key)
        if kept is not None and kept.fingerprint != fingerprint:
            raise Fault(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were"
                f" first used with. Try using a key other than '{key}'.",
                type="idempotency_error",
            )
        if kept is not None and kept.answer is None:
            raise Fault(
                409,
                "There is currently another in-progress request using this Idempotent Key.",
                type="idempotency_error",
                code="idempotency_key_in_use",
            )
        if kept is not None and kept.answer is not None:
            return (*kept.answer, True)
        self._keys[key] = claimed = Kept(fingerprint)
        try:
            claimed.answer = await self._act(request, text, fails=fails)
        except BaseException as problem:
            # What was refused before anything was done may be asked again under the same key.
            if not (isinstance(problem, Fault) and problem.kept):
                del self._keys[key]
            else:
                claimed.answer = (problem.status, problem.body)
            raise
        return (*claimed.answer, False)

    async def _act(self, request: web.Request, text: str, *, fails: bool) -> tuple[int, Json]:
        params = read_form(request.query_string if request.method == "GET" else text)
        if self.seconds:
            await asyncio.sleep(self.seconds)
        try:
            answer = 200, snapshot(routes.run(self.state, request.method, request.path, params))
        except Fault as fault:
            if not (fails and fault.kept):
                raise
            answer = fault.status, fault.body
        if fails:
            return 500, {"error": {"type": "api_error", "message": "Something broke, late"}}
        return answer

    async def _bank_page(self, request: web.Request) -> web.Response:
        self._thing(request, "intent")
        return web.Response(
            text="<!doctype html><title>Fake bank</title><form method='post'>"
            "<button name='outcome' value='succeed'>Complete</button>"
            "<button name='outcome' value='fail'>Fail</button></form>",
            content_type=_HTML,
        )

    async def _bank_answer(self, request: web.Request) -> web.Response:
        intent = self._thing(request, "intent")
        action = intent["next_action"]
        if action is None:
            raise web.HTTPGone(text="Nothing is to be confirmed here")
        back = action["redirect_to_url"]["return_url"]
        succeeds = (await request.post()).get("outcome") == "succeed"
        intents.authenticate(self.state, intent["id"], succeeds=succeeds)
        subscriptions.tick(self.state)
        name = intent["object"]
        mark = "&" if "?" in back else "?"
        how = "succeeded" if intent["status"] in ("succeeded", "processing") else "failed"
        raise web.HTTPSeeOther(f"{back}{mark}{name}={intent['id']}&redirect_status={how}")

    async def _pay_page(self, request: web.Request) -> web.Response:
        session = self._thing(request, "checkout.session")
        return web.Response(text=checkout.page(self.state, session), content_type=_HTML)

    async def _pay_answer(self, request: web.Request) -> web.Response:
        session = self._thing(request, "checkout.session")
        number = str((await request.post()).get("card", ""))
        checkout.expire_due(self.state)
        if session["status"] != "open":
            raise web.HTTPGone(text="This page is over")
        goes = checkout.submit(self.state, session, number)
        if goes is None:
            return web.Response(
                status=402, text=checkout.page(self.state, session), content_type=_HTML
            )
        raise web.HTTPSeeOther(goes)

    async def _pay_done(self, request: web.Request) -> web.Response:
        session = self._thing(request, "checkout.session")
        goes = checkout.finish(self.state, session)
        raise web.HTTPSeeOther(goes or f"{self.base}/pay/{session['id']}")

    def _thing(self, request: web.Request, kind: str) -> Json:
        found = self.state.objects.get(request.match_info["ref"])
        if found is None or not found["object"].endswith(kind):
            raise web.HTTPNotFound(text="There is no such page")
        return found

    # ── For tests in another process ─────────────────────────────────────────────────────────────

    async def _control(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = json.loads((await request.read()) or b"{}")
        acts: dict[str, Callable[[], object]] = {
            "fail": lambda: self.fail(how=How(asked.pop("how")), **asked),
            "heal": self.heal,
            "dispute": lambda: self.dispute(**asked),
            "refund-by-hand": lambda: self.refund_by_hand(**asked),
            "close-dispute": lambda: self.close_dispute(
                self.state.objects[asked["dispute"]], asked["outcome"]
            ),
            "finish-processing": lambda: self.finish_processing(**asked),
            "finish-refund": lambda: self.finish_refund(**asked),
            "webhooks": lambda: self._set_webhooks(asked),
        }
        done = acts[request.match_info["act"]]()
        return web.json_response(done if isinstance(done, dict) else {})

    def _set_webhooks(self, asked: Json) -> None:
        for name, value in asked.items():
            setattr(self.webhooks, name, value)

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "charged": self.charged,
                "refunded": self.refunded,
                "charges": self.charges(),
                "requests": self.requests,
            }
        )


def _json(status: int, body: Json, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(body), headers=headers, content_type="application/json"
    )


_LIMITED: Json = {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many"}
_AT_THE_DOOR: dict[How, Callable[[], web.Response]] = {
    How.ERROR_BEFORE: lambda: _json(500, {"error": {"type": "api_error", "message": "Broken"}}),
    How.TOO_MANY: lambda: _json(429, {"error": _LIMITED}),
    How.GARBAGE: lambda: web.Response(text="<html>hotel wifi</html>", content_type=_HTML),
}


def _check_caller(request: web.Request) -> None:
    if request.headers.get("authorization") != f"Bearer {SECRET_KEY}":
        raise Fault(401, "Invalid API Key provided")
    if request.headers.get("stripe-version") != API_VERSION:
        raise Fault(400, f"The fake speaks {API_VERSION} alone", code="api_version")


async def _no_answer(request: web.Request, how: How, body: Json | None) -> web.StreamResponse:
    """Whatever is returned here, nobody gets it."""
    if how in (How.HANGS_BEFORE, How.HANGS_AFTER):
        # aiohttp tells by no event that its client has gone.
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    if how is How.CUT_SHORT:
        whole = json.dumps(body).encode()
        cut = web.StreamResponse(headers={"content-length": str(len(whole))})
        await cut.prepare(request)
        await cut.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def read_form(text: str) -> Json:
    """Read `a[b][]=c` as Stripe's clients write it; every value stays text."""
    whole: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = re.findall(r"[^\[\]]+|\[\]", name)
        _put(whole, [head, *rest], value)
    return _lists_made(whole)


def _put(place: Json, path: list[str], value: str) -> None:
    head, *rest = path
    if head == "[]":
        head = str(len(place))
    if rest:
        _put(place.setdefault(head, {}), rest, value)
    else:
        place[head] = value


def _lists_made(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    made = {name: _lists_made(inner) for name, inner in value.items()}
    if made and all(name.isdecimal() for name in made):
        return [made[name] for name in sorted(made, key=int)]
    return made


@asynccontextmanager
async def served(
    *, clock: Callable[[], float] = time.time, port: int = 0
) -> AsyncGenerator[FakeStripe]:
    """Serve a fake on a loopback port, in this event loop."""
    state = State(clock)
    fake = FakeStripe(state, Webhooks(state, WEBHOOK_SECRET))
    state.told.append(fake.webhooks.note)
    runner = web.AppRunner(fake.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    state.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await fake.webhooks.close()
        await runner.cleanup()


async def run_alone(port: int, ready: Callable[[FakeStripe], Awaitable[None]]) -> None:
    async with served(port=port) as fake:
        await ready(fake)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
