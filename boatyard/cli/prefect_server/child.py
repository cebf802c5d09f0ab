"""The server process: `python -m boatyard.cli.prefect_server.child`, configured by environment alone.

It takes its port before the seconds of importing, so a taken one is said at once and a free one is never lost; it says
that it is ready by writing the port into the pipe BOATYARD_PREFECT_READY; and a private one removes its own folder.
"""

import contextlib
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any

PORT_TAKEN = 98


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    signal.signal(
        signal.SIGTERM, _leave
    )  # uvicorn raises it again after its own shutdown: the default would skip the rest
    host, port = os.environ["PREFECT_SERVER_API_HOST"], int(os.environ["PREFECT_SERVER_API_PORT"])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, contextlib.ExitStack() as stack:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            sys.stderr.write(f"{host}:{port}: {error.strerror}\n")
            return PORT_TAKEN
        if scratch := os.environ.get("BOATYARD_PREFECT_SCRATCH"):
            stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        port = listener.getsockname()[1]
        _publish(host, port)
        _serve(listener, port)
    return 0


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _publish(host: str, port: int) -> None:
    """Prefect reads its own address from the environment: the UI is told to call it there."""
    os.environ["PREFECT_SERVER_API_PORT"] = str(port)
    os.environ["PREFECT_UI_API_URL"] = f"http://{host}:{port}/api"
    os.environ["PREFECT_API_URL"] = f"http://{host}:{port}/api"
    # Any web page may call a loopback address; only our own may read the answer.
    os.environ.setdefault("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", f"http://{host}:{port},http://localhost:{port}")
    os.environ["PREFECT__SERVER_FINAL"] = "1"


def _serve(listener: socket.socket, port: int) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                _announce(port)

    settings: dict[str, Any] = {"log_level": "warning", "lifespan": "on", "timeout_graceful_shutdown": 5}
    Server(uvicorn.Config(create_app, factory=True, timeout_keep_alive=30, **settings)).run(sockets=[listener])


def _announce(port: int) -> None:
    if pipe := os.environ.get("BOATYARD_PREFECT_READY"):
        with contextlib.suppress(OSError), Path(pipe).open("w") as out:  # nobody waits any more: nothing to say
            out.write(f"{port}\n")


if __name__ == "__main__":
    sys.exit(main())
