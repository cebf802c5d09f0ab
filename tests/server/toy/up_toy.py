"""`boatyard up` with the toy flows: argv[1] is the port; --no-auth and --one-at-a-time may follow."""

import sys
from datetime import UTC, datetime, timedelta

from boatyard.cli.prefect_server.catalogue import Deployment
from boatyard.cli.prefect_server.deploy import Prepared, prepare
from boatyard.cli.prefect_server.up import Options, up
from boatyard.settings import Settings

NAMES = ["open_cluster", "close_cluster", "gate", "approve"]


def _prepared() -> Prepared:
    toys = [Deployment(name.replace("_", "-"), f"boatyard_toy.{name}", tags=("goes-on",)) for name in NAMES]
    every_minute = ({"cron": "* * * * *", "slug": "every-minute", "active": False},)
    toys.append(
        Deployment(
            "sweep", "boatyard_toy.gate", schedules=every_minute, concurrency_limit=1, collision_strategy="CANCEL_NEW"
        )
    )
    later = datetime.now(UTC) + timedelta(hours=12)
    nightly = ({"cron": f"{later.minute} {later.hour} * * *", "slug": "nightly"},)
    toys.append(Deployment("clean", "boatyard_toy.clean", tags=("catch-up",), schedules=nightly))
    toys.append(Deployment("watch", "boatyard_toy.clean", parameters={"name": "watch"}, schedules=nightly))
    return prepare(toys)


if __name__ == "__main__":
    limit = 1 if "--one-at-a-time" in sys.argv else 8
    options = Options(int(sys.argv[1]), auth="--no-auth" not in sys.argv, limit=limit, drain=60, prepared=_prepared)
    sys.exit(up(Settings.load(), options, lambda line: sys.stdout.write(line + "\n") and sys.stdout.flush()))
