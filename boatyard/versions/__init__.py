"""Kubernetes versions: order, upgrade paths, skew, channels, offers and support dates."""

from boatyard.versions.channels import target
from boatyard.versions.minor import Minor, Version, newest, path
from boatyard.versions.offer import Offer, of_minor
from boatyard.versions.paths import explain, route
from boatyard.versions.skew import kubectl_problem, kubelet_problem, next_allowed

__all__ = [
    "Minor",
    "Offer",
    "Version",
    "explain",
    "kubectl_problem",
    "kubelet_problem",
    "newest",
    "next_allowed",
    "of_minor",
    "path",
    "route",
    "target",
]
