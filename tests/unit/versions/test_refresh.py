"""A newer catalogue: what is kept, what is refused, and what is said of shorter support."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from boatyard.errors import BoatyardError, InvalidSpec, NotFound, Temporary
from boatyard.versions.catalogue import KEPT, catalogue
from boatyard.versions.refresh import API, PRODUCTS, Renewal, refresh

TODAY = date(2026, 11, 25)
OWN = """
providers:
  kubernetes:
    source: https://example.com/k8s
    as_of: 2026-11-20
    minors:
      - {minor: "1.36", released: 2026-04-22, end_of_support: 2027-06-28}
      - {minor: "1.37", released: 2026-08-26, end_of_support: 2027-10-28}
      - {minor: "1.38", released: 2026-11-20, end_of_support: 2028-01-28, estimated: true}
"""


def product(name: str, releases: list[dict[str, Any]], day: str = "2026-11-20") -> dict[str, Any]:
    """One product as endoflife.date's API v1 gives it, without what we do not read."""
    return {
        "schema_version": "1.2.0",
        "generated_at": f"{day}T03:42:03+00:00",
        "last_modified": f"{day}T00:07:56+00:00",
        "result": {"name": name, "labels": {"eol": "Maintenance Support", "eoes": None}, "releases": releases},
    }


def release(name: str, begins: str, ends: str | None, extended: str | None = None) -> dict[str, Any]:
    return {"name": name, "releaseDate": begins, "isLts": False, "eolFrom": ends, "eoesFrom": extended}


class Web:
    """Pages by address; a missing one cannot be read. Counts nothing, forgets nothing."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages = pages

    def __call__(self, address: str, timeout: float) -> bytes:
        if address not in self.pages:
            raise Temporary(f"{address} cannot be read: no route.")
        return json.dumps(self.pages[address]).encode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "dates.yaml"
    file.write_text(OWN)
    return file


def renewed(home: Path, source: Path | str, web: Web | None = None) -> Renewal:
    found, refused = refresh(home, [str(source)], TODAY, fetch=web or Web({}))
    assert refused == []
    (one,) = found
    return one


def refusal(home: Path, source: Path | str, web: Web | None = None) -> BoatyardError:
    found, refused = refresh(home, [str(source)], TODAY, fetch=web or Web({}))
    assert found == []
    (one,) = refused
    return one


def test_our_own_form_is_kept_and_older_minors_and_other_providers_stay(tmp_path: Path, file: Path) -> None:
    one = renewed(tmp_path, file)
    assert (one.provider, one.was, one.as_of) == ("kubernetes", catalogue().upstream.as_of, date(2026, 11, 20))
    assert (one.added, one.changes) == (("1.38",), ())
    now = catalogue(tmp_path)
    assert now.problem == ""
    assert now.tables["eks"] == catalogue().tables["eks"]
    assert [str(row.minor) for row in now.upstream.releases] == [f"1.{minor}" for minor in range(30, 39)]
    last = now.upstream.release("1.38")
    assert last is not None
    assert (last.estimated, last.source, last.as_of) == (True, "https://example.com/k8s", date(2026, 11, 20))
    old = now.upstream.release("1.30")
    assert old is not None
    assert old.source == "https://kubernetes.io/releases/"
    assert [path.name for path in tmp_path.iterdir() if path != file] == [KEPT]


def test_shorter_support_is_said_as_such(tmp_path: Path, file: Path) -> None:
    file.write_text(OWN.replace("2027-06-28", "2027-06-01").replace("2027-10-28", "2027-11-01"))
    shorter, longer = renewed(tmp_path, file).changes
    assert str(shorter) == "1.36: support ends 27 days EARLIER, 2027-06-01, was 2027-06-28"
    assert str(longer) == "1.37: support ends 2027-11-01, was 2027-10-28"
    assert (shorter.shorter, longer.shorter) == (True, False)


def test_extended_support_that_is_gone_is_said(tmp_path: Path, file: Path) -> None:
    file.write_text(
        """
providers:
  eks:
    source: https://example.com/eks
    as_of: 2026-11-20
    minors: [{minor: "1.36", released: 2026-06-02, end_of_support: 2027-08-02}]
"""
    )
    (gone,) = renewed(tmp_path, file).changes
    assert str(gone) == "1.36: the extended support until 2028-08-02 is GONE"


def test_a_product_of_endoflife_date_is_read_from_the_minors_that_we_keep_on(tmp_path: Path) -> None:
    address = API + "amazon-eks"
    releases = [
        release("1.37", "2026-10-01", "2027-12-01", "2028-12-01"),
        release("1.36", "2026-06-02", "2027-08-02", "2028-08-02"),
        release("1.21", "2021-07-19", "2023-02-16", "2024-07-15"),
    ]
    one = renewed(tmp_path, address, Web({address: product("amazon-eks", releases)}))
    assert (one.provider, one.added, one.changes) == ("eks", ("1.37",), ())
    eks = catalogue(tmp_path).tables["eks"]
    assert (eks.title, eks.source) == ("Amazon EKS", address)
    assert eks.releases[0].minor.minor == 30
    assert not eks.releases[-1].estimated


def test_what_the_source_has_no_column_for_stays_and_new_days_of_an_estimating_provider_are_estimates(
    tmp_path: Path,
) -> None:
    address = API + "google-kubernetes-engine"
    releases = [
        release("1.38", "2026-11-15", None),  # nobody has announced its end
        release("1.37", "2026-10-20", "2027-12-20"),
        release("1.36", "2026-06-09", "2027-08-10"),
        release("1.35", "2026-02-11", "2027-04-11"),
    ]
    one = renewed(tmp_path, address, Web({address: product("google-kubernetes-engine", releases)}))
    assert one.added == ("1.37",)
    assert [str(change) for change in one.changes] == ["1.36: support ends 2027-08-10, was 2027-08-09"]
    known = catalogue(tmp_path).tables["gke"].release("1.36")
    assert known is not None
    assert known.end_of_extended_support == date(2028, 6, 9)
    assert all(row.estimated for row in catalogue(tmp_path).tables["gke"].releases)


def test_of_the_four_products_those_that_answer_are_kept(tmp_path: Path) -> None:
    address = API + "kubernetes"
    page = product("kubernetes", [release("1.38", "2026-11-20", "2028-01-28")])
    found, refused = refresh(tmp_path, [], TODAY, fetch=Web({address: page}))
    assert len(refused) == len(PRODUCTS) - 1
    assert [one.provider for one in found] == ["kubernetes"]
    assert all("cannot be read" in str(error) for error in refused)
    assert catalogue(tmp_path).upstream.release("1.38")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("providers: {", "neither YAML nor JSON"),
        ("<html>", "is no catalogue of versions"),
        (OWN.replace("1.37", "1.39"), "after 1.36 comes 1.39"),
        (OWN.replace("1.3", "1.4"), "after 1.37 comes 1.46"),
        (OWN.replace("2027-10-28", "2025-10-28"), "1.37 ends before it begins"),
        (OWN.replace("2026-11-20\n", "2026-11-27\n"), "which is not yet"),
        (OWN.replace("2026-11-20\n", "2026-09-14\n"), "the one that is here of 2026-09-15"),
        (json.dumps(product("nginx", [])), "is about 'nginx' and not one of kubernetes, amazon-eks"),
        (json.dumps(product("kubernetes", [])), "at least 1 item"),
        (json.dumps(product("kubernetes", [release("latest", "2026-01-01", "2027-01-01")])), "named 'latest'"),
        (json.dumps(product("kubernetes", [release("1.38", "2026-01-01", "soon")])), "end_of_support"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence_and_the_old_one_kept(
    tmp_path: Path, file: Path, text: str, why: str
) -> None:
    file.write_text(OWN)
    renewed(tmp_path, file)
    before = (tmp_path / KEPT).read_bytes()
    (tmp_path / KEPT).unlink()
    first = tmp_path / "bad.yaml"
    first.write_text(text)
    error = refusal(tmp_path, first)
    assert isinstance(error, InvalidSpec)
    assert why in str(error)
    assert "\n" not in str(error)
    assert not (tmp_path / KEPT).exists()
    (tmp_path / KEPT).write_bytes(before)
    refusal(tmp_path, first)
    assert (tmp_path / KEPT).read_bytes() == before


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path, tmp_path / "none.yaml"), NotFound)
    assert "an https:// address is allowed" in str(refusal(tmp_path, "ftp://example.com/x"))
    assert isinstance(refusal(tmp_path, "https://example.com/x"), Temporary)
