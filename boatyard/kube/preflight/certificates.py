"""When the certificates end by which the API server is reached."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from boatyard.kube.conditions import EXPIRY_NOTICE, client_expiry, serving_expiry
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit

TOO_SOON = timedelta(days=2)
"""An upgrade, a halt and the morning after must fit in before a certificate ends."""
_TIMEOUT = 10.0  # seconds


def certificates(server: str, kubeconfig: Mapping[str, Any], now: datetime) -> Iterator[Culprit]:
    """The API server's serving certificate and the kubeconfig's own. Opens one connection of its own."""
    looks: dict[str, Callable[[], datetime | None]] = {
        "of the API server": lambda: serving_expiry(server, kubeconfig, _TIMEOUT),
        "of the kubeconfig's user": lambda: client_expiry(kubeconfig),
    }
    for what, look in looks.items():
        ref = Ref("", "Certificate", "", what)
        try:
            end = look()
        except (OSError, ValueError) as error:
            fix = "See whether something between here and the API server ends TLS."
            yield Culprit("not-looked-at", ref, "", f"It could not be read: {error}.", fix, blocks=False)
            continue
        if end is not None:
            yield from judge(ref, end, now)


def judge(ref: Ref, end: datetime, now: datetime) -> Iterator[Culprit]:
    """A warning within `EXPIRY_NOTICE`; it blocks when the end is nearer than `TOO_SOON`. Pure."""
    if end - now >= EXPIRY_NOTICE:
        return
    why = f"It {'ended' if end <= now else 'ends'} on {end:%Y-%m-%d %H:%M} UTC."
    yield Culprit("certificate-expires", ref, "", why, "Renew it before the upgrade.", blocks=end - now < TOO_SOON)
