"""Every link in the documentation leads to a file of this repository, and to a heading where it names one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/**/README.md")}
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s+(\S+)", re.M)


def links(text: str) -> Iterator[str]:
    """Targets of links and pictures, but for those to other hosts."""
    plain = _CODE.sub("", _FENCE.sub("", text))
    for pattern in (_LINK, _REFERENCE):
        for found in pattern.findall(plain):
            if not re.match(r"[a-z][a-z0-9+.-]*:", found):
                yield found


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a page."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", _FENCE.sub("", text), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def broken(page: Path) -> list[str]:
    wrong = []
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        target = page if not path else (ROOT / path[1:] if path.startswith("/") else page.parent / path)
        heading = anchor if target.suffix == ".md" else ""
        if not target.exists() or (heading and heading not in anchors(target.read_text())):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs/README.md"
    reached = {(index.parent / link.partition("#")[0]).resolve() for link in links(index.read_text())}
    pages = {page.resolve() for page in (ROOT / "docs").glob("**/*.md")} - {index.resolve()}
    assert {page for page in pages - reached if "adr" not in page.parts} == set()


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One `two`: three\n# A\n# A\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md#one-two-three) [b](there.md#a-1) [c](#here) `[d](not-a-link)` [e](https://x.invalid)\n# Here\n"
        "[f](gone.md) ![g](gone.png) [h](there.md#no-heading) [i](there.md#a-2)\n[j]: gone.txt\n"
    )
    assert broken(page) == ["gone.md", "gone.png", "there.md#no-heading", "there.md#a-2", "gone.txt"]
