"""What happens to clusters, as Prefect events: automations turn them into mail, chat or runs."""

from typing import Any

from prefect.events import emit_event


def tell(cluster: str, what: str, payload: dict[str, Any]) -> None:
    """Emit the event `boatyard.WHAT` about one cluster."""
    resource = {"prefect.resource.id": f"boatyard.cluster.{cluster}", "prefect.resource.name": cluster}
    emit_event(f"boatyard.{what}", resource=resource, payload=payload)
