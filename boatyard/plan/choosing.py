"""Which version a group of clusters takes next: the newest that has earned its way, is approved and not halted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from boatyard.plan.fleet import Answer, Ask
from boatyard.plan.proving import Halts, Proofs, Ways
from boatyard.plan.seats import Key
from boatyard.plan.targets import because, next_minor
from boatyard.spec.waves import Ring
from boatyard.versions import Minor


@dataclass(frozen=True, slots=True)
class Choice:
    """What clusters of one key take now (`to`), or where they wait to go (`target`), each with the reason.

    in_need: the version that leaves their minor, for those whose support ends; over soak and approval. halt: why they
    may start nothing at all, not even finish what was left half done.
    """

    to: str | None
    target: str | None
    reason: str
    in_need: str | None = None
    halt: str | None = None


def _takes(choice: Choice) -> tuple[str | None, str | None, bool]:
    return choice.to, choice.in_need, choice.halt is None


class Choices:
    """Choices by key, remembered until a fact changes."""

    def __init__(
        self, rings: Sequence[Ring], ways: Ways, proofs: Proofs, halts: Halts, answers: Iterable[Answer]
    ) -> None:
        self._rings = rings
        self._ways = ways
        self._proofs = proofs
        self._halts = halts
        self._answers: dict[tuple[str, str], Answer] = {}
        self._known: dict[Key, Choice] = {}
        self.asks: set[Ask] = set()
        """Approvals that were missing for a choice since `renew` was last called."""
        for answer in answers:
            self.answer(answer)

    def answer(self, answer: Answer) -> None:
        """A person's word; of several the newest holds, of two at the same moment the refusal."""
        before = self._answers.get((answer.ring, answer.target))
        if before is None or _newest(before) < _newest(answer):
            self._answers[answer.ring, answer.target] = answer

    def renew(self, keys: Iterable[Key]) -> set[Key]:
        """A fact has changed: choose anew for these keys. Those whose clusters take something else now than before."""
        before, self._known = self._known, {}
        self.asks.clear()
        now = {key: _takes(self.of(key)) for key in keys}
        return {key for key, takes in now.items() if key not in before or _takes(before[key]) != takes}

    def of(self, key: Key) -> Choice:
        """What clusters of that key take."""
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._choose(key)
        return found

    def _choose(self, key: Key) -> Choice:
        way = self._ways.of(key)
        if not way.steps:
            return Choice(None, way.goal, way.reason, halt=self._halts.against(key.ring, key.version))
        in_need = next_minor(way.steps, key.version)
        if in_need is not None and self._refused(key.ring, in_need):
            in_need = None
        reasons: list[str] = []
        asked = False
        for step in way.steps:
            halt = self._halts.against(key.ring, step)
            hindrance = halt or self._proofs.missing(key.ring, step)
            if hindrance is None and (hindrance := self._unapproved(key.ring, step, ask=not asked)) is not None:
                asked = True  # nobody is asked about an older one instead; one that was granted may go on
            if hindrance is None:
                reason = because(key.channel, key.version, step, way.goal or step)
                later = f"; {way.steps[0]} waits: {reasons[0]}" if reasons else ""
                return Choice(step, step, reason + self._proofs.passed_over(key.ring) + later, in_need)
            if step == in_need and halt is not None:
                in_need = None
            reasons.append(hindrance)
        halt = self._halts.against(key.ring, key.version)
        return Choice(None, way.steps[0], reasons[0], in_need, halt)

    def _unapproved(self, ring: int, target: str, *, ask: bool) -> str | None:
        if ring >= len(self._rings):
            return None
        name, answer = self._rings[ring].name, self._answer(ring, target)
        if answer is not None:
            return None if answer.granted else f"approval of {target} for ring {name} was refused"
        if not self._rings[ring].approve:
            return None
        if ask:
            self.asks.add(Ask(name, target))
        return f"ring {name} waits for approval of {target}"

    def _refused(self, ring: int, target: str) -> bool:
        answer = self._answer(ring, target)
        return answer is not None and not answer.granted

    def _answer(self, ring: int, target: str) -> Answer | None:
        """The newest of those to this very version and to its minor."""
        if ring >= len(self._rings):
            return None
        name = self._rings[ring].name
        found = [self._answers.get((name, version)) for version in {target, str(Minor.parse(target))}]
        return max((each for each in found if each is not None), key=_newest, default=None)


def _newest(answer: Answer) -> tuple[datetime, bool]:
    return answer.at, not answer.granted
