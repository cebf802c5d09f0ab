"""Boatyard: the whole life of Kubernetes clusters as Prefect flows."""
