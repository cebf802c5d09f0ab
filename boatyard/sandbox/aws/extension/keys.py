"""Key pairs: deleted by their id, as kOps does it, and not by their name alone."""

from typing import Any

from boatyard.sandbox.aws.extension.mend import mend


def install() -> None:
    """Mend moto's key pairs."""
    from moto.ec2.responses.key_pairs import KeyPairs

    @mend(KeyPairs, "delete_key_pair")
    def delete_key_pair(original: Any, request: Any) -> Any:
        wanted = request._get_param("KeyPairId")
        named = [name for name, pair in request.ec2_backend.key_pairs.items() if wanted and pair.id == wanted]
        if named and not request._get_param("KeyName"):
            request.ec2_backend.key_pairs.pop(named[0])
        return original(request)
