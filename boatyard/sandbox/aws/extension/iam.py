"""IAM: the policy simulator, which moto lacks, and statements with conditions, which moto takes for refusals."""

from typing import Any

from boatyard.sandbox.aws.extension.mend import mend

_SECURE = "aws:SecureTransport"


def install() -> None:
    """The emulated account enforces no policy of users: the simulator allows everything."""
    from moto.core.responses import ActionResult
    from moto.iam.access_control import IAMPolicyStatement, PermissionResult
    from moto.iam.responses import IamResponse

    def simulate_principal_policy(self: Any) -> Any:
        results = [
            {"EvalActionName": name, "EvalResourceName": "*", "EvalDecision": "allowed"}
            for name in self._get_param("ActionNames", [])
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    def is_action_permitted(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        """What is refused without TLS is not refused here: plain HTTP plays the part of TLS in this account."""
        conditions = self._statement.get("Condition") or {}
        if any(_SECURE in each for each in conditions.values()):
            return PermissionResult.NEUTRAL
        return original(self, *args, **kwargs)

    if not hasattr(IamResponse, "simulate_principal_policy"):
        setattr(IamResponse, "simulate_principal_policy", simulate_principal_policy)  # noqa: B010 - not moto's own
    mend(IAMPolicyStatement, "is_action_permitted")(is_action_permitted)
