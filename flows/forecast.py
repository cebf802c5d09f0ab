"""When each cluster of a fleet will be upgraded to what, or why not: a year ahead, into the UI."""

from prefect import flow

from tasks.forecast import fleet_of, tell_forecast


@flow(name="forecast-fleet", flow_run_name="forecast")
def forecast_fleet(folder: str | None = None, days: int = 365) -> dict[str, int]:
    """Run the scheduler of upgrades ahead, and show table and picture as an artifact. Changes nothing anywhere.

    Args:
        folder: The fleet's folder, with its fleet.yaml; all clusters and the rules that Boatyard keeps, when left out.
        days: How far to look.
    """
    return tell_forecast(*fleet_of(folder), days)
