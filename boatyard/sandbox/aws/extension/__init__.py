"""What moto 5.2 lacks or does otherwise than AWS, where kOps meets it. Put in place once, before the server starts."""

from boatyard.sandbox.aws.extension import balancers, disks, groups, iam, keys, network, offers, tags

__all__ = ["install"]

_done = False


def install() -> None:
    """Mend moto in this process. May be called twice; cannot be undone."""
    global _done
    if not _done:
        balancers.install()
        disks.install()
        groups.install()
        iam.install()
        keys.install()
        network.install()
        offers.install()
        tags.install()
        _done = True
