"""What went wrong, in the JSON shape that clients of OpenAI's API know: the reason and the mend."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asr.errors import AsrError

_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that cannot be served: HTTP `status`, what is wrong and what to do, and the field at fault."""

    def __init__(
        self, status: int, message: str, code: str, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The error as OpenAI's API writes it."""
        kind = _KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """The error as a response."""
        return JSONResponse(self.body(), self.status, self.headers)


def of_recording(error: AsrError, path: str, name: str) -> ApiError:
    """A fault of the recording at `path`, which its owner calls `name`; the path is nobody's business."""
    text = f"{error.message}. {error.hint}" if error.hint else error.message
    return ApiError(400, text.replace(path, name), "invalid_audio", "file")


async def handle_api_error(request: Request, error: Exception) -> Response:
    """Answer with an `ApiError`."""
    assert isinstance(error, ApiError)
    return error.response()


async def handle_http_error(request: Request, error: Exception) -> Response:
    """Answer where there is no such page, or not with such a method."""
    status = getattr(error, "status_code", 500)
    if status == 404:
        message = f"there is nothing at {request.url.path[:200]}; docs/serving.md lists what there is"
        return ApiError(404, message, "not_found").response()
    if status == 405:
        message = f"{request.url.path[:200]} does not take {request.method}"
        return ApiError(405, message, "method_not_allowed", headers=getattr(error, "headers", None)).response()
    return ApiError(status, str(getattr(error, "detail", error)), "invalid_request").response()


async def handle_fault(request: Request, error: Exception) -> Response:
    """Answer after a bug: the client learns that it was one, the log has the rest."""
    return ApiError(500, "the server made a mistake; its log tells more", "internal_error").response()
