"""`python -m boatyard.tools ensure|status [NAME…]`: for the Makefile, before anything else is there."""

import sys
from collections.abc import Sequence

from boatyard.errors import BoatyardError
from boatyard.settings import Settings
from boatyard.tools.toolbox import Toolbox


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _status(toolbox: Toolbox) -> int:
    rows = toolbox.status()
    for row in rows:
        text = f"{row.name:24} {row.state:8} {row.version or '-':10} {row.source or '-'}"
        sys.stdout.write(f"{text}  {row.advice or row.note}".rstrip() + "\n")
    return 0 if all(row.state == "ok" or not row.required for row in rows) else 9


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or the error family's."""
    verb, *names = arguments or [""]
    if verb not in ("ensure", "status") or (verb == "status" and names):
        _say("usage: python -m boatyard.tools ensure [NAME…] | status")
        return 2
    toolbox = Toolbox(Settings.load().cache, _say)
    try:
        if verb == "status":
            return _status(toolbox)
        toolbox.ensure(names or None)
    except BoatyardError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("stopped; the next run goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
