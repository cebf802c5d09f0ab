"""Kubernetes versions: order, upgrade paths, skew, channels, support dates."""

from boatyard.versions.minor import Minor, Version, kubectl_problem, kubelet_problem, next_allowed, path, target

__all__ = ["Minor", "Version", "kubectl_problem", "kubelet_problem", "next_allowed", "path", "target"]
