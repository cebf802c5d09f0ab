"""`boatyard versions`: tables that fit, sources and their days, newer dates, and what a cluster's channel wants."""

import json
from datetime import UTC, datetime

import pytest

from boatyard.clock import SystemClock
from boatyard.versions.catalogue import KEPT

NEWER = """
providers:
  kubernetes:
    source: https://example.com/k8s
    as_of: {as_of}
    minors:
      - {{minor: "1.36", released: 2026-04-22, end_of_support: {ends}}}
      - {{minor: "1.37", released: 2026-08-26, end_of_support: 2027-10-28}}
"""


@pytest.fixture(autouse=True)
def today(monkeypatch):
    """The day the catalogue is asked on; its dates do not age with the tests."""
    monkeypatch.setattr(SystemClock, "now", lambda self: datetime(2026, 11, 25, 12, tzinfo=UTC))


@pytest.fixture
def newer(tmp_path):
    def write(as_of="2026-11-20", ends="2027-06-28"):
        file = tmp_path / "dates.yaml"
        file.write_text(NEWER.format(as_of=as_of, ends=ends))
        return file

    return write


def fits(said):
    assert max(map(len, said.out.splitlines())) <= 80
    return " ".join(said.out.split())


def test_all_providers_side_by_side_with_sources_and_days(call):
    said = call("versions")
    assert said.code == 0
    text = fits(said)
    for words in ("MINOR KUBERNETES EKS GKE AKS", "1.37 2027-10-28", "+2028-08-02", "~2027-08-09"):
        assert words in text
    assert "kubernetes: https://kubernetes.io/releases/, as of 2026-09-15." in text
    assert "older than" not in text
    document = json.loads(call("versions", "--json").out)
    assert [each["provider"] for each in document["providers"]] == ["kubernetes", "eks", "gke", "aks"]
    assert document["stale"] is None


def test_one_provider_with_the_state_of_each_minor(call):
    text = fits(call("versions", "eks"))
    assert "1.34 ending 2025-10-02 2026-12-02 2027-12-02" in text
    assert "1.33 extended" in text
    assert "1.30 ended" in text
    minors = json.loads(call("versions", "eks", "--json").out)["minors"]
    assert {row["minor"]: row["support"] for row in minors}["1.31"] == "extended"


def test_what_a_driver_offers_with_who_says_so(call):
    text = fits(call("versions", "kwok"))
    assert "1.36 supported 2027-06-28 default" in text
    assert "1.34 ended 2026-10-27" in text
    assert "EXTENDED" not in text
    assert "Offered by: the binaries of Kubernetes 1.36.3 on this machine, as of 2026-11-25." in text
    assert "Ends of support: https://kubernetes.io/releases/, as of 2026-09-15." in text
    offers = json.loads(call("versions", "kwok", "--json").out)["offers"]
    assert [offer["version"] for offer in offers] == ["1.36", "1.35", "1.34", "1.33"]


@pytest.mark.parametrize(
    ("channel", "version", "says"),
    [
        ("rapid", "1.33", "shop runs 1.33, and its channel rapid wants 1.36 through 1.34, 1.35."),
        ("n-1", "1.34", "shop runs 1.34, and its channel n-1 wants 1.35."),
        ("patch", "1.34", "shop runs 1.34, and its channel patch wants nothing newer."),
        ("rapid", "1.31", "wants 1.36: Kubernetes 1.36 cannot be reached: 1.32 on the way is not offered for kwok"),
        ("stable", None, "What shop runs was not seen yet; its channel is stable."),
    ],
)
def test_what_a_clusters_channel_wants(call, store, channel, version, says):
    kubernetes = {"version": "1.34", "channel": channel}
    store.clusters.put({"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": kubernetes})
    if version:
        store.clusters.set_observed("shop", {"phase": "running", "version": version, "pools": {}}, fence=None)
    assert says in fits(call("versions", "shop"))
    wants = json.loads(call("versions", "shop", "--json").out)["cluster"]
    assert (wants["version"], wants["channel"]) == (version, channel)


def test_where_a_channel_cannot_be_read_the_tables_minors_are_shown(call, tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text(
        "name: shop.example.com\nkubernetes: {version: '1.35'}\n"
        "provider: {kind: kops, state_store: 's3://state', zones: [eu-central-1a],"
        f" channel: 'file://{tmp_path}/none', dns_zone: example.com}}\n"
    )
    said = call("versions", str(file))
    assert said.code == 0, said.err
    text = fits(said)
    assert "kOps cannot be asked now what it offers" in text
    assert "1.36 supported 2026-04-22 2027-06-28" in text


def test_a_word_that_is_neither_cluster_nor_provider(call):
    said = call("versions", "nope")
    assert said.code == 4
    assert "aks, eks, gke, kops, kubernetes, kwok" in said.err


def test_newer_dates_are_kept_with_their_day_and_shorter_support_is_said(call, home, newer):
    said = call("versions", "--refresh", "--from", str(newer(ends="2027-06-01")))
    assert said.code == 0
    text = fits(said)
    assert "kubernetes: as of 2026-11-20, was 2026-09-15." in text
    assert "1.36: support ends 27 days EARLIER, 2027-06-01, was 2027-06-28." in text
    assert "1.36 supported 2026-04-22 2027-06-01" in fits(call("versions", "kubernetes"))
    (home / KEPT).write_text("{")
    assert "is not used" in fits(call("versions"))


def test_older_dates_are_refused_in_one_sentence_and_nothing_changes(call, home, newer):
    said = call("versions", "--refresh", "--from", str(newer(as_of="2026-01-01")))
    assert said.code == 3
    assert "the one that is here of 2026-09-15; nothing was kept" in " ".join(said.err.split())
    assert not (home / KEPT).exists()


def test_the_options_belong_together(call):
    assert call("versions", "--from", "x").code == 64
    assert call("versions", "eks", "--refresh").code == 64


def test_old_dates_are_said_once_here_and_by_doctor(call, monkeypatch):
    monkeypatch.setattr(SystemClock, "now", lambda self: datetime(2027, 3, 1, tzinfo=UTC))
    text = fits(call("versions"))
    assert text.count("older than 120 days") == 1
    assert "`boatyard versions --refresh` reads newer." in text
    assert call("doctor").out.count("older than 120 days") == 1
    assert "older than 120 days" in json.loads(call("doctor", "--json").out)["stale"]
