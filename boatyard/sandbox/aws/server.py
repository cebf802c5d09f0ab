"""The child process of the AWS twin: moto with our extension, one HTTP door, one TLS router."""

import json
import logging
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from boatyard.errors import Permanent
from boatyard.run import run
from boatyard.sandbox.aws import extension
from boatyard.sandbox.aws.controller import Controller, Means
from boatyard.sandbox.aws.faults import Faults
from boatyard.sandbox.aws.gate import Gate, faults_of
from boatyard.sandbox.aws.router import Router
from boatyard.sandbox.aws.sandbox import Orders


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT. `argv`: the file with our orders."""
    orders = Orders(**json.loads(Path(argv[0]).read_text()))
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    extension.install()
    router = Router()
    router.start()
    followers: list[Controller] = []
    http = _serve(lambda: _tell(followers), faults_of(orders.faults) if orders.faults is not None else None)
    endpoint = f"http://127.0.0.1:{http.server_address[1]}"
    if orders.programs:
        followers.append(_controller(orders, router, endpoint))
    _report(orders, endpoint, f"https://127.0.0.1:{router.port}")
    told.wait()
    for controller in followers:
        controller.stop()
    return 0


def _tell(followers: Sequence[Controller]) -> None:
    for controller in followers:
        controller.changed()


def _controller(orders: Orders, router: Router, endpoint: str) -> Controller:
    folder = Path(orders.folder)
    shutil.rmtree(folder / "clusters", ignore_errors=True)  # what a killed one left: its account is gone, too
    said = run([orders.programs["kube-apiserver"], "--version"], timeout=60).stdout
    found = re.search(r"v1\.(\d+)\.", said)
    if found is None:
        raise Permanent(f"kube-apiserver does not say which version it is, but {said.strip()!r}.")
    return Controller(Means(folder, orders.programs, router, int(found[1]), endpoint, orders.boot))


def _serve(changed: Callable[[], None], faults: Faults | None) -> Any:
    """moto behind the gate, answering in threads of its own."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Thousands of lines that nobody reads."""

    door = Gate(DomainDispatcherApplication(create_backend_app), threading.RLock(), changed, faults)
    http = make_server("127.0.0.1", 0, door, threaded=True, request_handler=Quiet)
    threading.Thread(target=http.serve_forever, name="http", daemon=True).start()
    return http


def _report(orders: Orders, endpoint: str, api_server: str) -> None:
    """The socket listens already, so whoever reads this line is answered."""
    with open(orders.ready, "w") as pipe:  # noqa: PTH123 - a named pipe
        pipe.write(json.dumps({"endpoint": endpoint, "api_server": api_server, "pid": os.getpid()}) + "\n")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # taking moto's backends apart object by object would take seconds
