"""The nouns of a wire dialect: what is asked, what was answered, what it cost, how it streams.

A dialect is one endpoint's way of speaking (`chat`, `responses`, `messages`, …). It is pure:
bytes in, values out; it knows no prices, no database and no network. One call goes

    ask    = dialect.read(body, content_type)        InvalidRequest names the fields
    ask    = dialect.sold(ask, model)                the model's name at its provider
    pricing.check_priced(version, ask.units, …)
    pricing.worst_case(version, ask.bounds(…), modalities=ask.modalities, …)
    upstream.post(dialect.upstream_body(ask, Change(model=…, output_cap=…)))
    answer = dialect.read_answer(ask, body)          or, streaming, meter = dialect.meter(ask)
    client.send(dialect.with_cost(answer, cost))     or             meter.finish(cost)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

from msgspec import Raw, Struct

from tollkeeper.base.errors import TollkeeperError

Source = Literal["provider", "partial", "estimated"]
Fields = dict[str, Raw]

JSON: Final = "application/json"
# A field that is not there, where a shape takes any value (msgspec has no optional Raw).
ABSENT: Final = Raw(b"null")


class Ask(Struct, frozen=True, kw_only=True):
    """What a client asks for, as far as money and the log are concerned.

    `input_tokens` is an upper bound of the tokens the body can hold, or None where the body does
    not bound them (stored prompts, remote files, tools that feed the model). Of it,
    `beside_images` is what is not for the `images`, whose tokens the model decides. `passes` is how
    often the model may read its whole input for this one request. `units` are all price-book units
    that its usage can turn out to be, so that one without a price is refused beforehand;
    `modalities` are what its tokens can be; `counted` bounds the units that are not tokens.
    `input_estimate` is a likely count, for answers without usage.

    Where `can_cap` is False the provider takes no output limit, so that none can be lowered; below
    `least_output_tokens` it takes none either.
    `service_tier` is as the price book names tiers. `choices` answers are written, each of up to
    `max_output_tokens`; `extra_output_tokens` are billed as output on top.
    """

    model: str
    fields: Fields
    stream: bool = False
    max_output_tokens: int | None = None
    least_output_tokens: int = 1
    choices: int = 1
    extra_output_tokens: int = 0
    input_tokens: int | None = None
    beside_images: int | None = None
    images: int = 0
    passes: int = 1
    input_estimate: int = 0
    units: frozenset[str] = frozenset({"input", "output"})
    modalities: frozenset[str] = frozenset({"text"})
    counted: Mapping[str, int] = {}
    can_cap: bool = True
    wants_usage: bool = False
    service_tier: str | None = None
    end_user: str | None = None
    metadata: Mapping[str, str] = {}
    preview: str = ""
    raw: bytes = b""  # a body that is no JSON, and where in it a field's value stands
    spans: Mapping[str, tuple[int, int]] = {}

    def input_bound(self, max_input_tokens: int | None) -> int | None:
        """Bound the input tokens of this request. None: it cannot be bounded, so refuse it.

        A model refuses input beyond its window, so the window bounds each pass over the input.
        """
        windows = None if max_input_tokens is None else max_input_tokens * self.passes
        if self.input_tokens is None or windows is None:
            return windows if self.input_tokens is None else self.input_tokens
        return min(self.input_tokens, windows)

    def output_bound(self, max_output_tokens: int | None) -> int | None:
        """Bound the output tokens of all choices, given the model's own maximum for one.

        None: neither the client nor the model sets a limit, so refuse it.
        """
        cap = self.output_cap(max_output_tokens)
        return None if cap is None else cap * self.choices + self.extra_output_tokens

    def bounds(
        self, max_input_tokens: int | None, max_output_tokens: int | None
    ) -> dict[str, int] | None:
        """Bound everything, as `pricing.worst_case` takes it. None: it cannot be, so refuse."""
        bounds = dict(self.counted)
        if "input" in self.units:
            read = self.input_bound(max_input_tokens)
            if read is None:
                return None
            bounds["input"] = read
        if "output" in self.units:
            written = self.output_bound(max_output_tokens)
            if written is None:
                return None
            bounds["output"] = written
        return bounds

    def output_cap(self, max_output_tokens: int | None) -> int | None:
        """The limit for one choice that has to be sent, so that it really holds."""
        if self.max_output_tokens is None or max_output_tokens is None:
            return max_output_tokens if self.max_output_tokens is None else self.max_output_tokens
        return min(self.max_output_tokens, max_output_tokens)


class Change(Struct, frozen=True, kw_only=True):
    """What is different in the body that goes upstream; everything else passes untouched.

    `output_cap` is sent always, because a hold bounds nothing that the provider was not told;
    `cap_field` is the name a chat provider knows it by where the client named neither.
    `ask_usage` has a chat stream end with its usage; some providers send it unasked.
    """

    model: str
    output_cap: int | None = None
    cap_field: str = "max_completion_tokens"
    ask_usage: bool = True


class UpstreamError(Struct, frozen=True, kw_only=True):
    """An error that a provider reported, without anything that belongs to the operator."""

    message: str
    type: str | None = None
    code: str | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What came back, in disjoint buckets named as in `pricing.units`; zero counts are left out.

    `reported` says whether the provider gave counts at all: an explicit zero is reported, an
    absent one is not. `source` is `provider` for its counts, `estimated` for a whole answer
    without them, `partial` for a stream that was cut before they came. `oddities` name counts
    that contradict each other; buckets are never negative. `upstream_cost` is the provider's
    own figure in USD as it wrote it, to reconcile with.
    """

    usage: Mapping[str, int]
    reported: bool
    source: Source
    produced: bool
    model: str | None = None
    service_tier: str | None = None
    id: str | None = None
    finish_reason: str | None = None
    raw_usage: bytes | None = None
    oddities: tuple[str, ...] = ()
    upstream_cost: str | None = None
    error: UpstreamError | None = None
    fields: Fields = {}


class Cost(Struct, frozen=True, kw_only=True):
    """What the customer was charged; input and output parts as OpenRouter's `cost_details`.

    Dollars, but for `deducted_nanos`: those are of the `currency` that paid, if it is another.
    """

    nanos: int
    input_nanos: int = 0
    output_nanos: int = 0
    upstream_nanos: int | None = None
    currency: str = "USD"
    deducted_nanos: int = 0


class StreamMeter(Protocol):
    """Reads one upstream stream as it passes; the pieces that carry the cost wait for it.

    `ended`: nothing of interest follows (stop reading, settle, finish). `complete`: the answer
    came to its proper end. `produced`: the model wrote something. `error`: the provider reported
    one inside the stream; it is withheld, and `finish` sends it last.
    """

    ended: bool
    complete: bool
    produced: bool
    error: UpstreamError | None

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes, split anywhere; give the bytes to pass on now (often none)."""
        ...

    def end(self) -> bytes:
        """The upstream closed or broke: take what lies unfinished. Call it once, before answer."""
        ...

    def answer(self) -> Answer:
        """Usage as reported so far, or else what was produced, estimated."""
        ...

    def finish(self, cost: Cost, error: TollkeeperError | None = None) -> bytes:
        """Give the withheld bytes with the cost in them, then `error` if there is one.

        After an error no end marker is sent: the answer did not end well.
        """
        ...


class Dialect(Protocol):
    """One endpoint's wire format. `path` is below the API's base, as in `/chat/completions`."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        """Read a request body whose size is already limited.

        Raises InvalidRequest, whose `faults` name the fields.
        """
        ...

    def sold(self, ask: Ask, model: str) -> Ask:
        """Meter what is asked as the model that answers does, whatever name it was asked by.

        Raises InvalidRequest for what that model's usage could not be known of.
        """
        ...

    def upstream_body(self, ask: Ask, change: Change) -> bytes: ...

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        """Read a whole successful answer. Raises UnreadableAnswer where it is not one.

        `error` is set where a provider reports one with status 200.
        """
        ...

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        """Give the answer's body with the cost in it, or None where it is not JSON: send it as is.

        Usage that the provider left out is filled in from what was charged.
        """
        ...

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> StreamMeter:
        """Meter a stream. What the provider says in it of the operator is left out, as below."""
        ...

    def error_body(self, error: TollkeeperError, request_id: str | None = None) -> bytes: ...

    def stream_error(self, error: TollkeeperError, request_id: str | None = None) -> bytes:
        """Show an error in a stream that has begun, as an SSE event."""
        ...

    def upstream_error(
        self, status: int, body: bytes, secrets: tuple[str, ...] = ()
    ) -> tuple[int, bytes]:
        """Turn a provider's error answer into the status and body for the client.

        What concerns only the operator (its key, its credit, its quota) becomes a 502.
        """
        ...
