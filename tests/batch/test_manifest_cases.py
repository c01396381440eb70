"""The cases of a manifest."""

from dataclasses import replace
from pathlib import Path

import pytest

from lungscore.batch.manifest_cases import is_manifest, manifest_cases
from lungscore.datasets.manifest import Row, write_rows
from lungscore.errors import InputError

ROW = Row("P1", "P1", "train", None, None, "made up", "slice", "P1/1.png", None, "0", None)


def row(case: str, path: str, group: str = "train", mask: str | None = None) -> Row:
    kind = "volume" if path.endswith(".nii") else "slice"
    return replace(ROW, case=case, path=path, group=group, mask=mask, kind=kind)


def cases(folder: Path, rows: list[Row], *groups: str) -> dict[str, str]:
    path = folder / "manifest.csv"
    write_rows(rows, path)
    return {
        case.name: case.error.code if case.error else case.path.relative_to(folder).as_posix()
        for case in manifest_cases(path, groups)
    }


def test_a_case_is_its_volume_its_slice_or_the_folder_of_its_slices(tmp_path: Path) -> None:
    rows = [row("P1", f"P1/{i}.png") for i in range(3)]
    rows += [row("P2", "volumes/2.nii"), row("P3", "volumes/3.nii"), row("P4", "lone/4.png")]
    assert cases(tmp_path, rows) == {
        "P1": "P1",
        "P2": "volumes/2.nii",
        "P3": "volumes/3.nii",
        "P4": "lone/4.png",
    }


def test_only_the_group_that_is_wanted(tmp_path: Path) -> None:
    rows = [row("P1", "1.nii"), row("P2", "2.nii", "test"), row("P3", "3.nii", "validation")]
    assert list(cases(tmp_path, rows, "test", "validation")) == ["P2", "P3"]
    with pytest.raises(InputError, match="no case of test"):
        cases(tmp_path, rows[:1], "test")


@pytest.mark.parametrize(
    "neighbour", ["another case", "below", "masks", "masks below", "Two folders"]
)
def test_slices_that_do_not_lie_alone_are_refused(tmp_path: Path, neighbour: str) -> None:
    rows = [row("P1", f"P1/{i}.png") for i in range(2)]
    if neighbour == "another case":
        rows.append(row("P2", "P1/9.png"))
    elif neighbour == "below":
        rows.append(row("P2", "P1/deep/9.png"))
    elif neighbour == "masks":
        rows[0] = replace(rows[0], mask="P1/0.mask.png")
    elif neighbour == "masks below":
        rows[0] = replace(rows[0], mask="P1/masks/0.png")
    else:
        rows.append(row("P1", "elsewhere/9.png"))
    assert cases(tmp_path, rows)["P1"] == "several-inputs"


def test_slices_beside_the_manifest_are_their_folder(tmp_path: Path) -> None:
    assert cases(tmp_path, [row("P1", "1.png"), row("P1", "2.png")]) == {"P1": "."}
    rows = [row("P1", "1.png"), row("P1", "2.png"), row("P2", "deep/1.nii")]
    assert cases(tmp_path, rows)["P1"] == "several-inputs"


def test_a_table_is_told_by_its_name_and_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("case")
    (tmp_path / "scan.csv").write_bytes(bytes(344) + b"n+1\0")
    (tmp_path / "a.txt").write_text("case")
    assert is_manifest(tmp_path / "a.csv")
    assert not any(is_manifest(tmp_path / name) for name in ("scan.csv", "a.txt", "no.csv"))


def plain(folder: Path, text: str) -> dict[str, str]:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    assert is_manifest(path)
    return {
        case.name: case.error.message if case.error else case.path.relative_to(folder).as_posix()
        for case in manifest_cases(path)
    }


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_plain_table_of_case_and_path_is_a_manifest(tmp_path: Path, separator: str) -> None:
    lines = ["case,note,Path", "P1,,scans/1.nii.gz", "P 2,x,../here/2", ""]
    paths = plain(tmp_path, "\n".join(lines).replace(",", separator).replace("../here", "./here"))
    assert paths == {"P1": "scans/1.nii.gz", "P 2": "here/2"}


def test_rows_of_a_plain_table_that_say_too_little_are_cases_that_fail(tmp_path: Path) -> None:
    paths = plain(tmp_path, "case,path\nP1,1.nii\nP1,2.nii\nP2,\n,3.nii\n")
    assert paths.pop("P1") == "1.nii"
    assert sorted(paths.values()) == [
        "list.csv: line 3: the case P1 occurred before.",
        "list.csv: line 4: the case has no path.",
        "list.csv: line 5: the case has no name.",
    ]


def test_comments_of_a_plain_table_may_hold_any_number(tmp_path: Path) -> None:
    paths = plain(tmp_path, "case;path;comment\nP1;1.nii;1,5\nP2;2.nii;2.5\n")
    assert paths == {"P1": "1.nii", "P2": "2.nii"}


def test_a_case_that_first_has_no_path_keeps_its_name_alone(tmp_path: Path) -> None:
    paths = plain(tmp_path, "case,path\nP1,\nP1,1.nii\nP2,2.nii\n")
    assert paths.pop("P1") == "list.csv: line 2: the case has no path."
    assert paths.pop("P2") == "2.nii"
    assert list(paths.values()) == ["list.csv: line 3: the case P1 occurred before."]


def test_a_wrong_plain_table_is_named_once_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("case,path\nP1,1,5.nii\n")
    with pytest.raises(InputError, match="semicolons") as rejected:
        list(manifest_cases(path))
    assert rejected.value.message.count("list.csv") == 1


def test_a_plain_table_has_no_groups(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("case,path\nP1,1.nii\n")
    with pytest.raises(InputError, match="no groups"):
        list(manifest_cases(path, ["test"]))
