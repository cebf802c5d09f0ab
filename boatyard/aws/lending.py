"""Credentials lent to a program for as long as it runs. It asks a door of ours for them, and again before they end.

Keys in its environment would be those of one session, which ends after an hour however long the program takes. The door
is the one that AWS' own SDKs know from containers (`AWS_CONTAINER_CREDENTIALS_FULL_URI`): on the loopback only, and
for who shows the token. What is lent is in no file and no argument list, and the door closes with the block.
"""

import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from boatyard.errors import BoatyardError, Temporary
from boatyard.redact import redact

TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - a name
OWN = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    }
)
"""Variables that SDKs look at before they ask at a door; a program that is lent credentials must not have them."""
_CLOSES = 0.05
"""Seconds that the door takes to close, at most; each of kOps' commands waits for it."""
_VALID = timedelta(minutes=10)
"""As long as what is handed out is good at least: botocore renews what has less left."""


@contextmanager
def lent(credentials: Callable[[], Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """Environment variables for the program, without any of `OWN`.

    credentials: those of now, as environment variables; asked each time the program asks, in a thread of the door's.
    """
    token = secrets.token_urlsafe(32)
    door = ThreadingHTTPServer(("127.0.0.1", 0), _handler(credentials, token))
    door.daemon_threads = True
    serve = partial(door.serve_forever, poll_interval=_CLOSES)
    threading.Thread(target=serve, name="credentials", daemon=True).start()
    try:
        yield {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{door.server_address[1]}/",
            TOKEN: token,
            "AWS_CONFIG_FILE": os.devnull,  # a default profile's keys would count more
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
    finally:
        door.shutdown()
        door.server_close()


def _handler(credentials: Callable[[], Mapping[str, str]], token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = self.headers.get("Authorization") or ""
            if not hmac.compare_digest(shown.encode(), token.encode()):
                self._answer(403, {"code": "Forbidden", "message": "the token is not shown"})
                return
            try:
                self._answer(200, _document(credentials()))
            except BoatyardError as error:  # the status tells the SDK whether to ask again
                said = {"code": type(error).__name__, "message": redact(str(error))}
                self._answer(500 if isinstance(error, Temporary) else 400, said)

        def _answer(self, status: int, document: Mapping[str, str]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
            """Who asks is no news."""

    return Handler


def _document(given: Mapping[str, str]) -> dict[str, str]:
    """As SDKs read it."""
    document = {
        "AccessKeyId": given.get("AWS_ACCESS_KEY_ID", ""),
        "SecretAccessKey": given.get("AWS_SECRET_ACCESS_KEY", ""),
        "Expiration": (datetime.now(UTC) + _VALID).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return document | ({"Token": token} if (token := given.get("AWS_SESSION_TOKEN")) else {})
