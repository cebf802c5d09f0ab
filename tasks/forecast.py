"""The forecast of upgrades in Prefect: made from what the store knows, shown as artifacts."""

import base64
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from boatyard.drivers.fleet_state import rules
from boatyard.drivers.survey import survey
from boatyard.plan.forecast import forecast
from boatyard.plan.outlook import as_markdown, summary
from boatyard.plan.picture import as_svg
from boatyard.spec.fleet import load_fleet
from boatyard.spec.models import Cluster
from boatyard.spec.waves import Waves
from tasks.steps import artifact_key
from tasks.yard import yard

MOST_ROWS = 200
"""Clusters in the table of the artifact; the command line lists all."""


def fleet_of(folder: str | None) -> tuple[str, Waves | None, list[Cluster]]:
    """Name, rules and clusters: of the fleet in that folder, or of all that the store keeps."""
    if folder is not None:
        fleet = load_fleet(Path(folder))
        return fleet.name, fleet.waves, list(fleet.clusters.values())
    here = yard()
    return "fleet", rules(here), [Cluster.model_validate(record.desired) for record in here.store.clusters.list()]


def tell_forecast(name: str, waves: Waves | None, clusters: Sequence[Cluster], days: int) -> dict[str, int]:
    """Look ahead, and put table and picture into the UI. Cluster → number of its upgrades."""
    now, period = yard().clock.now(), timedelta(days=days)
    state = survey(yard(), clusters, waves, now + period)
    told = forecast(waves, state, now, period=period)
    for line in summary(told):
        get_run_logger().info("%s: %s", name, line)
    create_markdown_artifact(
        f"{picture(as_svg(told, waves))}\n\n{as_markdown(told, state, MOST_ROWS)}",
        key=f"forecast-{artifact_key(name)}",
        description=f"Upgrades of fleet {name}, {days} days ahead",
    )
    counts = Counter(move.name for move in told.moves)
    return {verdict.name: counts[verdict.name] for verdict in told.stays}


def picture(svg: str) -> str:
    """Markdown that shows the picture without any server to fetch it from."""
    return f"![A timeline per ring](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
