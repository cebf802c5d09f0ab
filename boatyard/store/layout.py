"""What the store and the quick reader must agree on; a test checks it against the schema. Standard library only."""

from typing import Final

HEAD: Final = "0004"
"""The revision this program writes and reads."""

TIMES: Final = frozenset(
    {
        "created_at",
        "updated_at",
        "observed_at",
        "deleted_at",
        "since",
        "expires_at",
        "begun_at",
        "ended_at",
        "transition_at",
        "checked_at",
        "last_active_at",
        "warned_at",
        "hibernated_at",
        "opened_at",
        "closed_at",
        "answered_at",
        "soaked_at",
        "lifted_at",
    }
)
JSONS: Final = frozenset({"desired", "observed", "report", "document"})
FLAGS: Final = frozenset({"settled", "well", "asleep", "forced", "granted"})
