"""Makes calls with the real LiteLLM, and prints what became of each. Run by its test."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable
from typing import Any

from tollkeeper_client import TollkeeperError

USED: Any = {"in": 100, "out": 50}
litellm: Any = importlib.import_module("litellm")
ours: Any = importlib.import_module("tollkeeper_client.litellm")


def priced_as(_provider: str, model: str) -> tuple[str, str]:
    return ("sandbox" if model.startswith("sandbox") else "up"), model


class Calls:
    def __init__(self, place: dict[str, Any]) -> None:
        self.place = place
        self.toll = ours.TollkeeperCallback(
            place["operatorKey"], place["url"], priced_as=priced_as, most_output_tokens=1000
        )
        litellm.callbacks = [self.toll]

    def asked(self, payer: str = "rich", **told: Any) -> dict[str, Any]:
        return {
            "model": "openai/up-chat",
            "api_base": self.place["upstream"],
            "api_key": "sk-stand-in",
            "messages": [{"role": "user", "content": json.dumps(told)}],
            "metadata": {"tollkeeper_key": self.place[payer]},
            "max_retries": 0,
        }

    async def whole(self) -> str:
        answer = await litellm.acompletion(user="ada", **self.asked(**USED))
        return str(answer.usage.total_tokens)

    async def positional(self) -> str:
        asked = self.asked(**USED)
        answer = await litellm.acompletion(asked.pop("model"), asked.pop("messages"), **asked)
        return str(answer.usage.total_tokens)

    async def stream(self) -> str:
        asked = self.asked(**USED)
        parts = [part async for part in await litellm.acompletion(stream=True, **asked)]
        await self._ended()
        return "several parts" if len(parts) > 1 else "one part"

    async def same_id(self) -> str:
        """Make calls of two customers at once, under an id that both of them chose."""
        payers = ["rich", "rich", "same", "same"]
        calls = [self.asked(payer, **USED, pause=0.3) for payer in payers]
        answers = await asyncio.gather(
            *(litellm.acompletion(litellm_call_id="mine", **call) for call in calls)
        )
        return str({answer.usage.total_tokens for answer in answers})

    async def bridged(self) -> str:
        """Make a call that LiteLLM makes by way of another: it is one."""
        asked = self.asked(**USED)
        told = asked.pop("messages")[0]["content"]
        asked |= {"model": "together_ai/up-chat", "input": told}
        return str((await litellm.aresponses(**asked)).usage.total_tokens)

    async def fallback(self) -> str:
        """Make a call for which LiteLLM has another model: it is one as well."""
        asked = self.asked(**USED) | {"fallbacks": ["openai/up-chat"]}
        return str((await litellm.acompletion(**asked)).usage.total_tokens)

    async def embedding(self) -> str:
        asked = self.asked()
        del asked["messages"]
        more = {"model": "openai/sandbox-embed", "api_key": self.place["other"], "input": ["a b"]}
        more |= {"api_base": f"{self.place['url']}/api/v1"}
        return str((await litellm.aembedding(**{**asked, **more})).usage.prompt_tokens)

    async def sync(self) -> str:
        asked = self.asked(**USED) | {"litellm_call_id": "mine"}
        calls = [asyncio.to_thread(lambda: litellm.completion(**asked)) for _ in range(2)]
        answers = await asyncio.gather(*calls)
        await asyncio.to_thread(litellm.utils.executor.shutdown, wait=True)
        return str({answer.usage.total_tokens for answer in answers})

    async def refused(self) -> str:
        return await litellm.acompletion(**self.asked("poor"))

    async def unpriced(self) -> str:
        return await litellm.acompletion(**{**self.asked(), "model": "openai/unknown"})

    async def nobody(self) -> str:
        return await litellm.acompletion(**{**self.asked(), "metadata": {}})

    async def failed(self) -> str:
        return await litellm.acompletion(**self.asked(out="many"))

    async def router(self) -> str:
        """Refuse one customer; the deployments work on for the next."""
        there = {**self.asked(), "model": "openai/up-chat"}
        there = {name: there[name] for name in ("model", "api_base", "api_key")}
        chosen = {"model_name": "chat", "litellm_params": there}
        router = litellm.Router(model_list=[chosen, chosen | {"model_info": {"id": "two"}}])
        for _ in range(4):
            try:
                await router.acompletion(**{**self.asked("poor"), "model": "chat"})
            except TollkeeperError as error:
                if error.code != "insufficient_credits":
                    raise
        answer = await router.acompletion(**{**self.asked(), "model": "chat"})
        return str(answer.usage.total_tokens)

    async def _ended(self) -> None:
        while self.toll._held:  # noqa: ASYNC110 (LiteLLM says nothing when its callbacks are done)
            await asyncio.sleep(0.01)


async def outcome(call: Awaitable[str]) -> str:
    try:
        return await call
    except Exception as error:  # noqa: BLE001 (which one it is, is what the test asks)
        return f"{type(error).__name__} {getattr(error, 'status_code', '')}"


async def main(place: dict[str, Any]) -> None:
    said: dict[str, str] = {}
    calls = Calls(place)
    for name, rich in place["calls"].items():
        place["rich"] = rich
        said[name] = await outcome(getattr(calls, name)())
    sys.stdout.write(json.dumps(said))


asyncio.run(main(json.loads(sys.argv[1])))
