"""How many nodes of a pool may be replaced at once, at most. How many really are is up to the budgets of their pods."""

SHARE = 4
"""A quarter of a pool: its pods find room on the rest, and as many machines are paid for on top."""
MOST = 20
"""A provider orders so many at once without complaint, and one person can still look at so many."""


def at_most(surge: int | None, count: int) -> int:
    """Of a pool of `count` nodes: `surge` where the policy names one, else a quarter, at least 1 and at most 20."""
    return surge if surge is not None else min(MOST, max(1, count // SHARE))
