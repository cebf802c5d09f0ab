"""What AWS's refusals become: Boatyard's error families, each with AWS's own code kept.

`told` is the one place where botocore's exceptions are caught; nothing above `boatyard/aws` needs to know them.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import botocore.exceptions as aws
from botocore.parsers import ResponseParserError

from boatyard.errors import NotFound, Permanent, Temporary

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequests",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
        "ProvisionedThroughputExceededException",
    }
)
"""Codes that ask for fewer requests. `LimitExceeded` is not one: it is a quota, and waiting does not lift it."""

CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "AuthFailure",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "InvalidToken",
        "TokenRefreshRequired",
    }
)
"""Codes that say that the credentials themselves are no good, whatever was asked for."""

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "Unauthorized",
        "AllAccessDisabled",
        "AuthorizationError",
        "NotAuthorized",
        "Client.UnauthorizedOperation",
        "403",
        "Forbidden",
    }
)
_BUSY = frozenset(
    {"RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure", "ServiceUnavailable"}
)
_ABSENT = re.compile(r"(^NoSuch|NotFound(Exception|Fault)?$|\.NotFound$|NotExist|^404$|\.Malformed$)")

_SIGN_IN = (
    "Run `aws configure` to store an access key, `aws sso login --profile NAME` for single sign-on, "
    "or name a profile or role in `provider`."
)


class AwsBusy(Temporary):
    """Throttled, 5xx, timed out or not reached: worth trying again. `code`: AWS's own, "" when no answer came."""

    def __init__(self, message: str, *, code: str = "", delay: float = 2.0) -> None:
        super().__init__(message, delay=delay)
        self.code = code


class AwsNotFound(NotFound):
    """The thing asked about is not there. `code`: AWS's own."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class AwsRefused(Permanent):
    """AWS will not do it, however often it is asked. `code`: AWS's own; `status`: HTTP status."""

    def __init__(self, message: str, *, code: str = "", status: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code, self.status = code, status


class AwsDenied(AwsRefused):
    """The credentials are good, but may not do this."""


class NoCredentials(AwsRefused):
    """No credentials, or such as AWS does not take (any more); the hint says how to get some."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn botocore's exceptions into `AwsBusy`, `AwsNotFound`, `AwsDenied`, `NoCredentials` or `AwsRefused`.

    what: what was being done, as it follows "while": `making the bucket example-kops`.
    """
    try:
        yield
    except aws.ClientError as error:
        raise error_from(error.response, what) from error
    except aws.BotoCoreError as error:
        raise _without_answer(error, what) from error
    except ResponseParserError as error:  # a proxy's page in the place of an answer
        raise AwsBusy(f"AWS's answer could not be read while {what}.") from error


def error_from(answer: Mapping[str, Any], what: str) -> AwsBusy | AwsNotFound | AwsRefused:
    """The error of AWS's answer, as botocore parses it."""
    said = answer.get("Error") or {}
    code = str(said.get("Code") or "")
    status = int((answer.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0)
    words = " ".join(str(said.get("Message") or said.get("message") or "no reason given").split()).rstrip(".")
    message = f"AWS answered {code or status} while {what}: {words[:600]}."
    if code in THROTTLED or code in _BUSY or status == 429 or status >= 500:
        return AwsBusy(message, code=code, delay=5.0 if code in THROTTLED else 2.0)
    if code in CREDENTIALS:
        return NoCredentials(message, code=code, status=status, hint=sign_in(code))
    if code in DENIED or status == 403:
        hint = "`boatyard aws policy` prints the permissions that are needed."
        return AwsDenied(message, code=code, status=status, hint=hint)
    if _ABSENT.search(code) or status == 404:
        return AwsNotFound(message, code=code)
    return AwsRefused(message, code=code, status=status)


def sign_in(code: str = "") -> str:
    """What a person can do about missing or refused credentials."""
    if code.startswith(("Expired", "RequestExpired", "TokenRefresh")):
        return "The session is over: run `aws sso login` again, or renew the temporary keys in the environment."
    return _SIGN_IN


_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.ProfileNotFound,
    aws.SSOError,
    aws.TokenRetrievalError,
    aws.NoAuthTokenError,
    aws.InvalidConfigError,
    aws.RefreshWithMFAUnsupportedError,
)
_CONNECTION = (aws.ConnectionError, aws.HTTPClientError, aws.IncompleteReadError, aws.ResponseStreamingError)


def _without_answer(error: aws.BotoCoreError, what: str) -> AwsBusy | AwsRefused:
    words = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, _CREDENTIALS):
        over = "Expired" if "expired" in words.lower() else ""
        return NoCredentials(f"No usable AWS credentials while {what}: {words}.", hint=sign_in(over))
    if isinstance(error, aws.SSLError):
        return AwsRefused(f"AWS's certificate could not be trusted while {what}: {words}.")
    if isinstance(error, _CONNECTION):
        return AwsBusy(f"AWS could not be reached while {what}: {words}.")
    return AwsRefused(f"The request could not be made while {what}: {words}.")
