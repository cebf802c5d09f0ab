"""What the API server's refusals become: Boatyard's error families, with the server's own words kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boatyard.errors import BoatyardError, NotFound, Permanent, Temporary


@dataclass(frozen=True)
class FieldConflict:
    """A field that another manager owns: `manager` as the server names it, `field` as a path (`.spec.replicas`)."""

    manager: str
    field: str


class ApiError(BoatyardError):
    """An answer that is not a success.

    status: HTTP status, 0 when no answer came. reason: the server's word (`AlreadyExists`, `Conflict`, `Expired`).
    details: `details` of the server's Status object.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.details = status, reason, dict(details or {})

    @property
    def causes(self) -> list[dict[str, str]]:
        """The server's causes, each with `reason`, `message` and mostly `field`."""
        return list(self.details.get("causes") or [])


class ApiRejected(ApiError, Permanent):
    """The request itself is wrong: 400, 405, 413 and their like."""


class ApiForbidden(ApiError, Permanent):
    """401 and 403: the kubeconfig's user may not do this."""


class ApiNotFound(ApiError, NotFound):
    """404: the object, its namespace or its kind is not there."""


class ApiInvalid(ApiError, Permanent):
    """422: the server's validation refused the object."""


class ApiGone(ApiError, Permanent):
    """410: the resourceVersion or the continue token is too old; list again."""


class ApiConflict(ApiError, Permanent):
    """409: it exists already, it changed meanwhile, or other managers own some of its fields."""

    @property
    def fields(self) -> tuple[FieldConflict, ...]:
        """Fields owned by others, when a server-side apply was refused; else empty."""
        return tuple(
            FieldConflict(_manager(cause.get("message", "")), cause.get("field", ""))
            for cause in self.causes
            if cause.get("reason") == "FieldManagerConflict"
        )


class ApiBusy(ApiError, Temporary):
    """No connection, 408, 429 or 5xx, or a namespace on its way out: worth trying again after `delay` seconds."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        details: Mapping[str, Any] | None = None,
        delay: float = 2.0,
    ) -> None:
        super().__init__(message, status=status, reason=reason, details=details)
        self.delay = delay


_WRONG_TYPES = ("failed to create typed patch object",)
# A server-side apply whose fields have other types than the schema's is answered with 500, though nothing but the
# object is wrong with it.

_BY_STATUS: dict[int, type[ApiError]] = {
    401: ApiForbidden,
    403: ApiForbidden,
    404: ApiNotFound,
    409: ApiConflict,
    410: ApiGone,
    422: ApiInvalid,
}


def error_from(status: int, body: Any, request: str, retry_after: float | None = None) -> ApiError:
    """The error of an HTTP answer. `request`: what was asked, for the message (`GET /version`)."""
    document = body if isinstance(body, Mapping) else {}
    message = f"The API server answered {status} to {request}: {_said(document, body).rstrip('.')}."
    reason, details = str(document.get("reason") or ""), document.get("details")
    if status == 500 and any(mark in message for mark in _WRONG_TYPES):
        status = 422
    leaving = any(cause.get("reason") == "NamespaceTerminating" for cause in (details or {}).get("causes") or ())
    if status in (408, 429) or status >= 500 or leaving:
        delay = retry_after if retry_after is not None else 2.0
        return ApiBusy(message, status=status, reason=reason, details=details, delay=delay)
    return _BY_STATUS.get(status, ApiRejected)(message, status=status, reason=reason, details=details)


def _said(document: Mapping[str, Any], body: Any) -> str:
    """The server's words. A validation's echo of the value is cut out of the middle: the reason comes last."""
    causes = (document.get("details") or {}).get("causes") or []
    if document.get("reason") == "Invalid" and causes:
        return "; ".join(f"{cause.get('field')}: {_cut(str(cause.get('message')), 300)}" for cause in causes)
    text = document.get("message") or (body if isinstance(body, str) else "") or "no reason given"
    return _cut(str(text).strip(), 1000)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 3]} … {text[-most * 2 // 3 :]}"


def _manager(message: str) -> str:
    """`conflict with "kubectl" using apps/v1` → `kubectl`."""
    parts = message.split('"')
    return parts[1] if len(parts) >= 3 else message
