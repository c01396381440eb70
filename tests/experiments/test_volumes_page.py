"""docs/volumes.md is what its result files give."""

from pathlib import Path

from volumes_page import PAGE, page, sections

RESULTS = Path(__file__).parents[2] / "experiments" / "results"


def test_the_page_is_that_of_its_result_files() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS)


def test_a_section_is_there_where_its_file_is(tmp_path: Path) -> None:
    assert sections(tmp_path) == []
    (tmp_path / "flicker.json").write_text((RESULTS / "flicker.json").read_text(encoding="utf-8"))
    (section,) = sections(tmp_path)
    assert section.startswith("## Flicker")
