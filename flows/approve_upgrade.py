"""A ring of the fleet waits for a person's word before it takes a new version."""

from prefect import flow

from boatyard.spec.types import Name, VersionText
from tasks.approval import request_approval, was_answered
from tasks.steps import artifact_key
from tasks.waves import answered, keep_answer, question


@flow(name="approve-upgrade", flow_run_name="may {ring} take {version}?")
def approve_upgrade(ring: Name, version: VersionText) -> None:
    """Ask in the UI, and keep the answer: the next maintenance goes by it. Scheduled maintenance starts this by itself.

    Args:
        ring: A ring of fleet.yaml.
        version: The Kubernetes version that the ring would take.
    """
    key = artifact_key(f"{ring}-{version}")
    if was_answered(key) or not answered(ring, version):
        keep_answer(ring, version, request_approval(question(ring, version), key=key))
