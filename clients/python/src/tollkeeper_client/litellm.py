"""A LiteLLM callback: credit is held before a call is sent, and settled by what it used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import uuid4

# LiteLLM is no dependency of this package: whoever imports this module has it.
import litellm  # pyright: ignore[reportMissingImports]
from litellm.integrations.custom_logger import (  # pyright: ignore[reportMissingImports]
    CustomLogger,  # pyright: ignore[reportUnknownVariableType]
)

from tollkeeper_client.answers import Hold
from tollkeeper_client.asking import Event, Sale, SettledStory
from tollkeeper_client.client_async import AsyncTollkeeper
from tollkeeper_client.client_sync import Tollkeeper
from tollkeeper_client.errors import ModelNotPriced, TollkeeperError
from tollkeeper_client.litellm_usage import as_text_alone, price_book_name, units_of

KEY: Final = "tollkeeper_key"
_HEADER: Final = "x-tollkeeper-key"
# What is charged, and how the customer reads it in the log.
_SYNC_CALLS: Final = {
    "completion": "chat/completions",
    "text_completion": "completions",
    "embedding": "embeddings",
    "responses": "responses",
}
_CALLS: Final = {f"a{name}": operation for name, operation in _SYNC_CALLS.items()}
_MODEL_UNKNOWN_TOKENS: Final = 4096
# A call's own name is noted under this, among what LiteLLM notes of it. Whoever calls may choose
# LiteLLM's id of it, and send parameters of any name that is known.
_NAME: Final = f"tollkeeper_call_{uuid4().hex}"
_SEVERAL: Final = "several"
_MAKING: Final[ContextVar[str]] = ContextVar("tollkeeper_call", default="")
_log: Final = logging.getLogger(__name__)
_litellm: Final[Any] = litellm


def sale_of(call: Mapping[str, Any]) -> Sale:
    """Say who pays: the metadata of LiteLLM's virtual key, then the request's, then its header.

    Of the two places that an end user writes, a name is taken only as the customer's secret key.
    """
    metadata = _metadata_of(call)
    known = _mapping(metadata.get("user_api_key_metadata"))
    headers = _mapping(_mapping(call.get("proxy_server_request")).get("headers"))
    key = known.get(KEY) or metadata.get(KEY) or headers.get(_HEADER)
    return Sale(customer_key=str(key)) if key else Sale()


@dataclass
class _Held:
    hold: Hold
    estimate: Mapping[str, int]
    story: SettledStory
    call: object


class TollkeeperCallback(cast("type[Any]", CustomLogger)):
    """Give it to `litellm.callbacks`, of the SDK or of LiteLLM's proxy.

    An async call without credit raises InsufficientCredits before it is sent; one that fails is
    free. LiteLLM lets nobody refuse a sync call: those are charged afterwards, as events.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        sale: Callable[[Mapping[str, Any]], Sale | None] = sale_of,
        priced_as: Callable[[str, str], tuple[str, str]] = price_book_name,
        most_output_tokens: int | None = None,
    ) -> None:
        """`sale` says who pays for a call, None for one that is free; `priced_as` makes LiteLLM's
        provider and model the price book's; `most_output_tokens` bounds what is held for a call
        that does not bound itself (otherwise it is the model's own maximum)."""
        super().__init__()  # pyright: ignore[reportUnknownMemberType] (LiteLLM's)
        self.client = AsyncTollkeeper(api_key, base_url)
        self._sync_client = Tollkeeper(api_key, base_url)
        self._sale = sale
        self._priced_as = priced_as
        self._most_output_tokens = most_output_tokens
        self._held: dict[str, _Held] = {}

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """Hold, or raise: the call is then not sent."""
        self._forget_the_expired()
        if _name_of(call_type) not in _CALLS:
            return None
        call = kwargs["litellm_logging_obj"]
        # One call may be made by way of another: they have one hold.
        if self._made_now(call) is not None:
            return None
        sale = self._sale(kwargs)
        if sale is None:
            return None
        # What was given by position is not among the kwargs; what a router chose is nowhere else.
        model = str(kwargs.get("model") or call.model)
        messages = kwargs.get("messages") or call.messages
        estimate = {"input": _tokens_of(model, messages, kwargs)}
        if _name_of(call_type) != "aembedding":
            estimate["output"] = self._most_output(model, kwargs) * int(kwargs.get("n") or 1)
        provider, model = self._named(model, kwargs)
        operation = _CALLS[_name_of(call_type)]
        sold = Sale({"operation": operation, "provider": provider, "model": model, **sale})
        story = _story_of(kwargs)
        end_user = story.get("end_user")
        try:
            hold = await self.client.hold(estimate=estimate, end_user=end_user, **sold)
        except TollkeeperError as error:
            # What LiteLLM's router takes for how long to rest the deployment, for every customer.
            error.headers = {"retry-after": "0", "x-should-retry": "false"}
            raise
        self._keep(_Held(hold, estimate, story, call), streamed=bool(kwargs.get("stream")))
        return _without_key(kwargs)

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> None:
        """Settle before the answer is given back; streams are settled at their end."""
        if hasattr(response, "usage"):
            await self._settle(self._name_in(request_data), response)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any
    ) -> None:
        await self._void(self._name_in(request_data))

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        if kwargs.get("cache_hit"):
            await self._void(kwargs.get(_NAME))
        else:
            await self._settle(kwargs.get(_NAME), response_obj)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        await self._void(kwargs.get(_NAME))

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Charge what a sync call used; it posts whatever the balance is, and blocks the next."""
        if _name_of(kwargs.get("call_type")) not in _SYNC_CALLS or kwargs.get("cache_hit"):
            return
        told = {**kwargs, **_mapping(kwargs.get("litellm_params"))}
        sale = self._sale(told)
        if sale is None or getattr(response_obj, "usage", None) is None:
            return
        provider, model = self._priced_as(str(kwargs.get("custom_llm_provider")), kwargs["model"])
        event: Event = {
            "id": kwargs.setdefault(_NAME, uuid4().hex),
            "source": "litellm",
            "usage": units_of(response_obj.usage),
            "operation": _SYNC_CALLS[_name_of(kwargs["call_type"])],
            "provider": provider,
            "model": model,
            **sale,
        }
        (taken,) = self._sync_client.report_events([event]).results
        if taken.status == "rejected":
            _log.error("%s was not charged: %s", event["id"], taken.reason)

    def _keep(self, held: _Held, *, streamed: bool) -> None:
        name = uuid4().hex
        self._held[name] = held
        _MAKING.set(name)
        noted: dict[str, Any] = cast("Any", held.call).model_call_details
        # LiteLLM's proxy asks several models at once as one call. Each ends in the task it is made
        # in, and what is logged of all of them ends none.
        several = noted.get(_NAME) == _SEVERAL or noted.get(_NAME) in self._held
        noted[_NAME] = _SEVERAL if several and not streamed else name

    def _made_now(self, call: object) -> str | None:
        """Name the call that is held, and made in this very task."""
        held = self._held.get(_MAKING.get())
        return _MAKING.get() if held is not None and held.call is call else None

    def _name_in(self, request: Mapping[str, Any]) -> str | None:
        call = request.get("litellm_logging_obj")
        noted = _mapping(getattr(call, "model_call_details", None))
        return self._made_now(call) or noted.get(_NAME)

    def _named(self, model: str, kwargs: Mapping[str, Any]) -> tuple[str, str]:
        known = kwargs.get("custom_llm_provider"), kwargs.get("api_base")
        model, provider, *_ = _litellm.get_llm_provider(model, *known)
        return self._priced_as(provider, model)

    def _most_output(self, model: str, kwargs: Mapping[str, Any]) -> int:
        for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
            if kwargs.get(name):
                return int(kwargs[name])
        if self._most_output_tokens is not None:
            return self._most_output_tokens
        costs: dict[str, Any] = _litellm.model_cost
        known = _mapping(costs.get(model) or costs.get(model.rpartition("/")[2]))
        return int(known.get("max_output_tokens") or _MODEL_UNKNOWN_TOKENS)

    async def _settle(self, name: str | None, response: Any) -> None:
        held = self._held.pop(name or "", None)
        if held is None:
            return
        usage = getattr(response, "usage", None)
        units = held.estimate if usage is None else units_of(usage)
        await self._post(held, units)

    async def _post(self, held: _Held, units: Mapping[str, int]) -> None:
        try:
            try:
                await self.client.settle(held.hold.id, units, **held.story)
            except ModelNotPriced:
                # Audio and images among the tokens, without a price of their own: text, then.
                await self.client.settle(held.hold.id, as_text_alone(units), **held.story)
        except TollkeeperError:
            # The work is done, and its answer belongs to the customer. The hold ends by itself.
            _log.exception("%s could not be settled", held.hold.id)

    async def _void(self, name: str | None) -> None:
        held = self._held.pop(name or "", None)
        if held is None:
            return
        try:
            await self.client.void(held.hold.id)
        except TollkeeperError:
            _log.exception("%s could not be given back", held.hold.id)

    def _forget_the_expired(self) -> None:
        """LiteLLM does not tell of a stream that nobody reads to its end."""
        now = datetime.now(UTC)
        for name in [name for name, held in self._held.items() if held.hold.expires_at < now]:
            del self._held[name]


def _name_of(call_type: Any) -> str:
    return str(getattr(call_type, "value", call_type))


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _metadata_of(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_mapping(call.get("litellm_metadata")), **_mapping(call.get("metadata"))}


def _without_key(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Leave the customer's key out of what the provider and the loggers are shown."""
    shown = dict(kwargs)
    for place in ("metadata", "litellm_metadata"):
        if KEY in _mapping(kwargs.get(place)):
            shown[place] = {name: value for name, value in kwargs[place].items() if name != KEY}
    return shown


def _story_of(kwargs: Mapping[str, Any]) -> SettledStory:
    metadata = _metadata_of(kwargs)
    user = kwargs.get("user") or metadata.get("user_api_key_end_user_id")
    thread = kwargs.get("litellm_session_id") or metadata.get("session_id")
    return SettledStory(
        end_user=None if user is None else str(user),
        thread_id=None if thread is None else str(thread),
    )


def _tokens_of(model: str, messages: Any, kwargs: Mapping[str, Any]) -> int:
    asked = kwargs.get("input") or kwargs.get("prompt") or messages
    said = {"messages": asked} if _are_messages(asked) else {"text": _as_text(asked)}
    return int(_litellm.token_counter(model=model, tools=kwargs.get("tools"), **said))


def _are_messages(asked: Any) -> bool:
    return isinstance(asked, list) and all(
        isinstance(item, dict) and "role" in item for item in cast("list[Any]", asked)
    )


def _as_text(asked: Any) -> list[str]:
    return [str(item) for item in cast("list[Any]", asked if isinstance(asked, list) else [asked])]
