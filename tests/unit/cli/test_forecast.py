"""`boatyard fleet forecast`: table, JSON, picture, and what another fleet.yaml would move."""

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatyard.cli.main import main

FLEET = """\
kind: Fleet
name: shop
defaults:
  provider: {kind: kwok}
  kubernetes: {version: "1.34", channel: regular}
upgrades:
  rings:
    - {name: canary, match: {stage: test}, soak: 2d, windows: ["daily 09:00-12:00"]}
    - {name: <production>, windows: ["Sat 02:00-06:00"]}
"""
CLUSTERS = """\
name: test
labels: {stage: test}
---
name: prod
---
name: old
kubernetes: {version: "1.33", channel: pinned}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOATYARD_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "fleet.yaml").write_text(FLEET.replace("<production>", "production"))
    (folder / "clusters.yaml").write_text(CLUSTERS)
    return folder


def test_each_cluster_is_told_when_to_what_or_why_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "forecast", str(folder)]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "its channel is pinned" in text
    assert "Assumed:" in text
    assert main(["fleet", "forecast", str(folder), "--json", "--days", "60"]) == 0
    document = json.loads(capsys.readouterr().out)
    prod, test = ({each["name"]: each for each in document["clusters"]}[name] for name in ("prod", "test"))
    assert test["moves"][0]["to"] == prod["moves"][0]["to"] == "1.35"
    assert test["moves"][0]["ends"] < prod["moves"][0]["begins"]
    assert {fact["ring"] for fact in document["soaked"]} == {"canary"}


def test_the_picture_has_a_timeline_per_ring(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "shop.svg"
    assert main(["fleet", "forecast", str(folder), "--picture", str(picture)]) == 0
    root = ET.fromstring(picture.read_text())  # noqa: S314 - our own
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "canary" in texts
    assert "production" in texts
    bars = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(text is not None and text.startswith("1.35: 1 in the week from") for text in bars)


def test_the_picture_shades_freezes_and_holidays(folder: Path, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    day = [today + timedelta(days=at) for at in (10, 11, 30, 40, 50, 500)]
    events = [(day[0], "Feast & fast"), (day[1], "Feast & fast"), (day[2], ""), (day[5], "too late to be seen")]
    lines = [
        f"BEGIN:VEVENT\nUID:{at}\nDTSTAMP:20260101T000000Z\nDTSTART;VALUE=DATE:{on:%Y%m%d}\nSUMMARY:{name}\nEND:VEVENT"
        for at, (on, name) in enumerate(events)
    ]
    text = "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *lines, "END:VCALENDAR", ""])
    (folder / "holidays.ics").write_text(text)
    freeze = f"  freezes: [{{from: {day[3]}, to: {day[4]}, reason: sale}}]\n"
    rules = folder / "fleet.yaml"
    rules.write_text(rules.read_text() + freeze + "  holidays: holidays.ics\n")
    picture = tmp_path / "shop.svg"
    assert main(["fleet", "forecast", str(folder), "--picture", str(picture)]) == 0
    svg = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(picture.read_text())  # noqa: S314 - our own
    bands = {
        each.findtext(f"{svg}title"): (each.get("class"), float(each.get("width", 0)))
        for each in root.iter(f"{svg}rect")
        if each.get("class") in ("closed", "holiday")
    }
    assert {title: kind for title, (kind, _) in bands.items()} == {
        f"holiday {day[0]} to {day[1]} Feast & fast": "holiday",
        f"holiday {day[2]}": "holiday",
        f"frozen {day[3]} to {day[4]} sale": "closed",
    }
    one, two, eleven = sorted(width for _, width in bands.values())
    assert 0 < one < two < eleven


def test_what_if_names_the_clusters_that_would_move(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    text = (folder / "fleet.yaml").read_text()
    other.write_text(text)
    assert main(["fleet", "forecast", str(folder), "--what-if", str(other)]) == 0
    assert "No cluster moves otherwise." in capsys.readouterr().out
    other.write_text(text.replace("soak: 2d", "soak: 30d"))
    assert main(["fleet", "forecast", str(folder), "--what-if", str(other), "--json"]) == 0
    (moved,) = json.loads(capsys.readouterr().out)["moved"]
    assert moved["name"] == "prod"
    assert moved["before"] != moved["after"]


def test_a_folder_without_a_fleet_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "forecast", str(tmp_path)]) != 0
    assert "fleet.yaml" in capsys.readouterr().err
