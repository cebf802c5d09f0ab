"""In which order pods leave: those of an earlier label selector first, each group awaited before the next begins."""

import math
from collections import Counter
from collections.abc import Sequence

from boatyard.kube.eviction import Pod, matches, parse_selector


class Stages:
    """Counts the pods of each stage that are still there. Pods that no selector matches make up the last one."""

    def __init__(self, order: Sequence[str]) -> None:
        self._selectors = [parse_selector(text) for text in order]
        self._left: Counter[int] = Counter()

    @property
    def now(self) -> float:
        """The stage whose pods may leave now; no bound when none is left."""
        return min((stage for stage, count in self._left.items() if count), default=math.inf)

    def enter(self, pod: Pod) -> int:
        """Count a pod in; its stage."""
        found = (at for at, selector in enumerate(self._selectors) if matches(selector, pod.labels))
        stage = next(found, len(self._selectors))
        self._left[stage] += 1
        return stage

    def leave(self, stage: int) -> bool:
        """Count a pod out; True when another stage's turn has come."""
        before = self.now
        self._left[stage] -= 1
        return self.now != before
