"""Running Prefect: server, worker, deployments and automations, for `boatyard up` and for single commands."""
