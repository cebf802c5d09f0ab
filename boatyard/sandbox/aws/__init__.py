"""The AWS twin: an emulated account in a child process, with a real control plane for each kOps cluster in it."""

from boatyard.sandbox.aws.faults import Faults
from boatyard.sandbox.aws.sandbox import Sandbox

__all__ = ["Faults", "Sandbox"]
