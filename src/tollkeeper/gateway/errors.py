"""What can go wrong in this room alone; providers and dialects have errors of their own."""

from __future__ import annotations

from tollkeeper.base.errors import InvalidRequest, NotFound, TollkeeperError, Unavailable


class ModelNotFound(NotFound):
    """There is no such model here"""

    code = "model_not_found"


class NotOffered(NotFound):
    """This endpoint, or this model through it, is not offered here"""

    code = "not_offered"


class UnboundedRequest(InvalidRequest):
    """Nothing limits what this request could cost"""

    code = "unbounded_request"


class UnsupportedMediaType(TollkeeperError):
    """The body is of a type this endpoint does not take"""

    code = "unsupported_media_type"
    status = 415


class AnswerNotKept(TollkeeperError):
    """The answer was too large to be kept"""

    # Not 409: OpenAI's SDK retries 409.
    code = "answer_not_kept"
    status = 422


class CallTimeout(TollkeeperError):
    """The call took longer than calls may take here"""

    code = "call_timeout"
    status = 504
    retryable = True


class Stopping(Unavailable):
    """This server is being stopped"""

    code = "server_stopping"
