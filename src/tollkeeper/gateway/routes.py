"""The endpoints of this room, as they stand in the application and in its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from tollkeeper.base.errors import IdempotencyKeyReused, RequestInProgress
from tollkeeper.base.money import Money
from tollkeeper.gateway.dialects import DIALECTS, MESSAGES, Dialect
from tollkeeper.gateway.errors import (
    AnswerNotKept,
    CallTimeout,
    ModelNotFound,
    UnsupportedMediaType,
)
from tollkeeper.gateway.listing import Model, ModelList
from tollkeeper.gateway.providers import UpstreamFailed
from tollkeeper.gateway.proxy import Proxy
from tollkeeper.gateway.shelf import Shelf
from tollkeeper.http.api import HotRoute
from tollkeeper.http.openapi import Operation
from tollkeeper.ledger import InsufficientCredits
from tollkeeper.limits import REFUSALS
from tollkeeper.plans import AllowanceExhausted
from tollkeeper.pricing import ModelNotPriced

TAG: Final = "Models"
_EVENTS: Final = "text/event-stream"
_ERRORS: Final = (
    InsufficientCredits,
    AllowanceExhausted,
    *REFUSALS,
    ModelNotFound,
    RequestInProgress,
    UnsupportedMediaType,
    ModelNotPriced,
    IdempotencyKeyReused,
    AnswerNotKept,
    UpstreamFailed,
    CallTimeout,
)


class OpenAIError(Struct, kw_only=True):
    message: str
    type: str
    param: str | None = None
    code: str | None = None
    metadata: dict[str, Any] = {}


class OpenAIErrorBody(Struct, kw_only=True):
    """An error in OpenAI's shape. `metadata` says what there is to know, such as `available`."""

    error: OpenAIError


class AnthropicError(Struct, kw_only=True):
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    metadata: dict[str, Any] = {}


class AnthropicErrorBody(Struct, kw_only=True):
    """An error in Anthropic's shape."""

    error: AnthropicError
    type: str = "error"
    request_id: str | None = None


Named = Annotated[str, Meta(min_length=1, max_length=512, description="A name from `/models`.")]


class CallBody(Struct, kw_only=True):
    """Whatever the provider takes; it is passed on. Only `model` is needed to know the price."""

    model: Named


class CostedAnswer(Struct, kw_only=True):
    """The provider's answer. `cost` is what was deducted, in USD; `usage.cost` repeats it."""

    cost: Money
    usage: dict[str, Any]


_SUMMARIES: Final = {
    "chat": "Chat completion",
    "responses": "Response",
    "embeddings": "Embeddings",
    "messages": "Message",
    "images": "Image generation",
    "speech": "Speech",
    "transcriptions": "Transcription",
}


def call_routes(proxy: Proxy) -> list[HotRoute]:
    """Declare every endpoint that costs money."""
    routes = [_call_route(proxy, dialect, dialect.path) for dialect in DIALECTS.values()]
    # Anthropic's client puts /v1 before every path itself: so either base URL works with it.
    return [*routes, _call_route(proxy, MESSAGES, "/v1" + MESSAGES.path)]


def _call_route(proxy: Proxy, dialect: Dialect, path: str) -> HotRoute:
    by_form = dialect.name == "transcriptions"
    operation = Operation(
        summary=_SUMMARIES[dialect.name],
        tag=TAG,
        request=None if by_form else CallBody,
        response=CostedAnswer,
        errors=_ERRORS,
        error_body=AnthropicErrorBody if dialect is MESSAGES else OpenAIErrorBody,
        error_type="application/json",
        other_responses={} if dialect.name == "embeddings" else {_EVENTS: str},
    )
    return HotRoute(method="POST", path=path, handler=proxy.handler(dialect), operation=operation)


def model_routes(shelf: Shelf) -> list[HotRoute]:
    """Declare the endpoints that say what there is to buy."""
    listed = Operation(
        summary="Models and their prices",
        tag=TAG,
        response=ModelList,
        description="In Anthropic's shape for clients that send `anthropic-version`.",
        error_body=OpenAIErrorBody,
        error_type="application/json",
    )
    one = Operation(
        summary="A model and its prices",
        tag=TAG,
        response=Model,
        errors=(ModelNotFound, ModelNotPriced),
        error_body=OpenAIErrorBody,
        error_type="application/json",
    )
    return [
        HotRoute(method="GET", path="/models", handler=shelf.all, operation=listed),
        HotRoute(method="GET", path="/models/{id:path}", handler=shelf.one, operation=one),
    ]
