"""The manual as Markdown: every link and anchor leads somewhere, every page is on the site."""

import re
import sys
from pathlib import Path

import pytest
import typer
import yaml

import lungscore
from lungscore.cli.commands import app
from lungscore.errors import NOTICES, REJECTIONS
from tests.docs.pages import DOCS, PAGES, ROOT

sys.path.insert(0, str(DOCS / "_ext"))
import reference_pages

INDEX = (DOCS / "index.md").read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """The anchors that a forge gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.replace("`", "").lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_every_page_is_on_the_site_once() -> None:
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", INDEX, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line and line[0] != ":"]
    entries = [re.sub(r"^.* <(.+)>$", r"\1", line) for line in lines]
    assert len(entries) == len(set(entries))
    own = {p.relative_to(DOCS).with_suffix("").as_posix() for p in PAGES if DOCS in p.parents}
    assert {entry for entry in entries if not entry.startswith("generated/")} == own - {"index"}


def test_the_readme_is_short_and_in_the_order_of_a_newcomer() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    order = ("on chest CT", "![The report", "pip install", "## What comes out", "## Who it is for")
    order += ("## How good is it?", "## In Python", "## Documentation")
    places = [text.index(heading) for heading in order]
    assert places == sorted(places)


def test_troubleshooting_names_ten_codes_that_exist() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \|", text, re.M)
    assert len(rows) == 10
    named = {code for row in rows for code in re.findall(r"`([\w-]+)`", row)}
    assert named <= {*REJECTIONS, *NOTICES}


def test_the_gallery_shows_the_pictures_that_its_script_makes() -> None:
    import gallery

    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"figures/gallery/([\w-]+)\.jpg", text)
    assert shown == [example.name for example in gallery.EXAMPLES]
    for example in gallery.EXAMPLES:
        assert (gallery.FIGURES / f"{example.name}.jpg").is_file(), example.name
        if "$DATA" not in example.commands[0]:
            assert all(f"    {command}\n" in text for command in example.commands)


# Pages made of the code


def test_the_page_of_commands_has_every_command_and_option() -> None:
    page = reference_pages.command_line_page()
    pending = [("lungscore", typer.main.get_command(app))]
    while pending:
        name, command = pending.pop()
        if hasattr(command, "commands"):
            pending += [(f"{name} {key}", value) for key, value in command.commands.items()]
        else:
            assert re.search(rf"^#+ {name}$", page, re.M), name
        for parameter in command.params:
            assert parameter.opts[-1].lstrip("-") in page or parameter.metavar in page
    assert "| `--report-size full\\|small\\|none` |" in page


def test_the_page_of_labels_has_every_label_with_its_code() -> None:
    page = reference_pages.labels_page()
    for text in ("| 1 | LUL | Left upper lobe |", "44714003 SCT", "112120 DCM", "REGION-01"):
        assert text in page


def test_the_page_of_experiments_has_every_key() -> None:
    page = reference_pages.experiment_page()
    for key in ("slices_per_epoch", "encoder_weights", "window_hu", "healthy_fraction"):
        assert f"| `{key}` |" in page


def test_links_of_pages_at_the_root_are_turned() -> None:
    page = reference_pages.root_page("MODEL_CARD.md")
    assert "](../measurements.md)" in page
    assert "](docs/" not in page


# Files beside the manual


def test_the_container_runs_commands_that_exist_and_is_not_root() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER \d+$", text, re.M)
    assert '["lungscore"]' in text
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    node = services["node"]
    assert node["read_only"] is True
    assert all(port.startswith("127.0.0.1:") for s in services.values() for port in s["ports"])
    names = typer.main.get_command(app).commands
    if node["command"][0] in names:  # the DICOM node, where this version has it
        from lungscore.node.config import read_config

        read_config(ROOT / "deploy" / "node.yaml")


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == lungscore.__version__
    assert citation["cff-version"] == "1.2.0"


def test_the_makefile_has_every_target_that_the_manual_names() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^    )make ([a-z]+)", page.read_text("utf-8"), re.M)
    }
    assert named <= targets
