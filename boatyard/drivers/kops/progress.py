"""What people hear of a kOps that runs: steps that tell something, resources counted instead of named one by one."""

import re
from collections.abc import Callable

from boatyard.drivers.kops import failures

_EACH = 10  # resources between two lines about a deletion
_DELETED = re.compile(r"(?P<what>[a-z-]+:\S+)\tok$")
_ROW = re.compile(r"[a-z-]+\s+\S")  # of the table; what follows it has a colon after the kind
_TITLES = re.compile(r"TYPE\s+NAME\s+ID\s*$")
_TASKS = re.compile(r"Tasks: \d+ done / \d+ total")


class Progress:
    """Hears kOps line by line and reports, each thing once. `tasks`: tell of tasks that are done, too."""

    def __init__(self, report: Callable[[str], None], *, tasks: bool = True) -> None:
        self._report, self._tasks = report, tasks
        self._said: set[str] = set()
        self._deleted: set[str] = set()
        self._total, self._listing, self._waiting = 0, False, False
        self.held = ""
        """What a deletion waited for last, as it was reported; "" while it went on."""

    def hear(self, line: str) -> None:
        """One line of kOps' output."""
        if self._of_deletion(line) or (not self._tasks and _TASKS.search(line)):
            return
        if short := failures.progress(line):
            self._say(short)

    def _of_deletion(self, line: str) -> bool:
        """Count what is listed and what goes; once a round, name the first of what is left."""
        if _TITLES.match(line):
            self._listing = True
        elif self._listing and _ROW.match(line):
            self._total += 1
        elif found := _DELETED.match(line):
            self._deleted.add(found["what"])
            if len(self._deleted) % _EACH == 0 or len(self._deleted) == self._total:
                self._say(self._counted())
        elif line.startswith("Not all resources deleted"):
            self._waiting = True
        elif self._waiting and line.startswith("\t"):
            self._waiting = False
            self.held = f"{self._counted()}; waiting for {line.strip()}"
            self._say(self.held)
        else:
            return False
        return True

    def _counted(self) -> str:
        of = f" of {self._total}" if self._total else ""
        return f"kOps: {len(self._deleted)}{of} resources deleted"

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._report(line)
