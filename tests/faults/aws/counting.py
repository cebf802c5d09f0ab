"""Counts what is asked of AWS by a process and by the kOps that it runs, and kills them at one of these moments.

A folder has what they share: `calls` grows by a byte for each moment (before a request, and after its answer),
`kill-at` says at how many bytes the process whose number is in `victim` dies by SIGKILL. A kOps dies with whoever runs
it.
"""

import os
import signal
from pathlib import Path
from typing import Any

from botocore.httpsession import URLLib3Session


def install(folder: Path) -> None:
    """From now on this process counts."""
    text = (folder / "kill-at").read_text() if (folder / "kill-at").exists() else ""
    kill_at = int(text) if text else None
    file = os.open(folder / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    send = URLLib3Session.send

    def come() -> None:
        os.write(file, b".")
        if kill_at is not None and os.fstat(file).st_size >= kill_at:
            os.kill(int((folder / "victim").read_text()), signal.SIGKILL)
            signal.pause()  # this thread asks nothing more; a kOps hears of its parent's end

    def counted(self: Any, request: Any) -> Any:
        come()
        answer = send(self, request)
        come()
        return answer

    URLLib3Session.send = counted
