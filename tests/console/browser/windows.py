"""Browser windows that write down what goes wrong in them; see conftest.py."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

from browsing import make_link
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    Route,
    WebError,
)

from whole import Customer, Whole

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_BAD = 400
# Adds up how far things were moved by what came later; 0 when everything had its place.
_WATCH_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def find_chromium() -> str:
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError(
        "Tests of pages need Chromium, and there is none. Install it: as root, "
        "`apt-get install chromium fonts-dejavu-core`, or Chrome from your system's packages."
    )


class Window:
    """A screen to which people come; each has their own profile."""

    def __init__(self, chromium: Browser, whole: Whole, customer: Customer) -> None:
        self.whole = whole
        self.customer = customer
        self.complaints: list[str] = []
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []
        self._expected = set[int]()
        self._played = set[str]()

    def expects(self, *statuses: int) -> None:
        self._expected.update(statuses)

    def plays(self, host: str) -> None:
        self._played.add(host)

    async def sign_in(
        self,
        role: str = "owner",
        customer: Customer | None = None,
        *,
        whole: Whole | None = None,
        livemode: bool = False,
        scheme: str = "light",
        width: int = 1440,
        height: int = 1000,
        time_zone: str = "UTC",
        locale: str = "en-US",
        script: bool = True,
    ) -> Page:
        """Open the console as somebody of a customer, and be on its first page."""
        served = whole or self.whole
        page = await self.open(
            served.url,
            scheme=scheme,
            width=width,
            height=height,
            time_zone=time_zone,
            locale=locale,
            script=script,
        )
        link = await make_link(served, customer or self.customer, role, livemode=livemode)
        await page.goto(link)
        return page

    async def open(
        self,
        base: str,
        *,
        scheme: str = "light",
        width: int = 1440,
        height: int = 1000,
        time_zone: str = "UTC",
        locale: str = "en-US",
        script: bool = True,
    ) -> Page:
        """Give an empty page of somebody who is not signed in."""
        context = await self._chromium.new_context(
            base_url=base,
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": height},
            timezone_id=time_zone,
            locale=locale,
            java_script_enabled=script,
        )
        self._contexts.append(context)
        context.set_default_timeout(10_000)
        await context.add_init_script(_WATCH_SHIFTS)
        await self._listen(context, urlsplit(base).netloc)
        return await context.new_page()

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()

    async def _listen(self, context: BrowserContext, home: str) -> None:
        def of_console(message: ConsoleMessage) -> None:
            # What could not be loaded is known better from its answer.
            if message.type in ("error", "warning") and "Failed to load" not in message.text:
                self.complaints.append(f"console: {message.text}")

        def of_script(error: WebError) -> None:
            self.complaints.append(f"threw: {error.error}")

        def of_answer(answer: Response) -> None:
            part = answer.request.resource_type != "document"
            if part and answer.status >= _BAD and answer.status not in self._expected:
                self.complaints.append(f"{answer.status}: {answer.url}")

        def of_failure(request: Request) -> None:
            # Going on to another page breaks off what the one before still asked for.
            if request.failure != "net::ERR_ABORTED":
                self.complaints.append(f"{request.failure}: {request.url}")

        async def refuse(route: Route) -> None:
            host = urlsplit(route.request.url).netloc
            if host not in self._played:
                self.complaints.append(f"another host: {route.request.url}")
            await route.abort("aborted")

        context.on("console", of_console)
        context.on("weberror", of_script)
        context.on("response", of_answer)
        context.on("requestfailed", of_failure)
        await context.route(lambda url: urlsplit(url).netloc not in ("", home), refuse)


async def furnish(whole: Whole) -> Customer:
    """Make a customer whose pages have something to show, in test mode."""
    customer = await whole.customer()
    calls, admin = customer.keys["test INFERENCE"], customer.keys["test ADMIN"]
    for number in range(25):
        body = {
            "provider": "sandbox",
            "model": "sandbox-small" if number % 3 else "sandbox-large",
            "operation": "search" if number % 2 else "chat",
            "usage": {"input": 1000 + number, "output": 2000},
            "input": f"select {number} from a_table_with_a_long_name where region = 'north'",
            "requestId": f"call-{number}",
            "threadId": f"thread {number % 4}",
            "tags": {"team": "research"},
        }
        answer = await whole.ask("POST", "/metering/charges", calls, body)
        assert answer.status < _BAD, answer.text
    for amount in (25, 30):
        bought = await whole.ask("POST", "/billing/purchases", admin, {"amount": amount})
        assert bought.json["status"] == "succeeded", bought.text
    for name, amount in [("Everything", 50), ("Nearly used up", 1)]:
        budget = {"name": name, "amount": amount, "period": "month"}
        answer = await whole.ask("POST", "/budgets", customer.keys["live ADMIN"], budget)
        assert answer.status < _BAD, answer.text
    return customer
