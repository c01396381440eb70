"""--shard i/N: every case in exactly one share."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lungscore.batch.case import COHORT_FILES
from lungscore.batch.shards import Shard, parse_shard
from lungscore.cli.main import call
from lungscore.errors import UsageError
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti

NAMES = st.lists(
    st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name), max_size=30
)


@given(NAMES, st.integers(1, 12))
def test_all_shares_together_hold_every_case_once(names: list[str], total: int) -> None:
    inputs = [Path("scans") / name.replace("/", "_") for name in names]
    shares = [Shard(number, total).of(inputs) for number in range(1, total + 1)]
    assert sorted(path for share in shares for path in share) == sorted(inputs)


@given(NAMES, NAMES, st.integers(1, 5))
def test_a_case_stays_in_its_share_whatever_lies_beside_it(
    names: list[str], neighbours: list[str], total: int
) -> None:
    inputs = [Path(name.replace("/", "_")) for name in names]
    more = [*(Path(name.replace("/", "_")) for name in reversed(neighbours)), *inputs]
    share = Shard(1, total).of(inputs)
    assert [path for path in Shard(1, total).of(more) if path in set(share)][-len(share) :] == share


def test_one_case_has_one_share_under_every_spelling() -> None:
    spellings = [Path("Ward 7.nii.gz"), Path("there/ward 7.nii"), Path("WARD 7.zip")]
    for number in range(1, 8):
        assert len({Shard(number, 7).holds(path) for path in spellings}) == 1


def test_the_shares_are_those_that_other_jobs_have_computed() -> None:
    # Changing the rule would let a resumed array analyse some scans twice and others never.
    inputs = [Path(f"scan{number}.nii.gz") for number in range(12)]
    assert [path.name[4:-7] for path in Shard(1, 3).of(inputs)] == EXPECTED


EXPECTED = ["4", "6", "8", "9", "10"]


def test_shares_are_about_equal() -> None:
    inputs = [Path(f"patient{number:05d}") for number in range(4000)]
    sizes = [len(Shard(number, 20).of(inputs)) for number in range(1, 21)]
    assert 150 < min(sizes) <= max(sizes) < 250


def test_the_share_is_read_from_its_text() -> None:
    assert parse_shard("3/20") == Shard(3, 20)
    assert parse_shard("1/1") == Shard(1, 1)


@pytest.mark.parametrize(
    "text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2", "١/٢"]
)
def test_other_texts_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shard(text)
    assert caught.value.code == "usage"
    assert "3/20" in caught.value.expected


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed, name in enumerate(("one", "two", "three", "four")):
        write_nifti(
            make_phantom("mild", seed=seed % 2, shape=(16, 80, 80)).scan, folder / f"{name}.nii.gz"
        )
    (folder / "broken.nii.gz").write_bytes(b"no scan at all")
    return folder


@pytest.mark.slow
def test_shares_of_a_cohort_are_joined_by_a_run_without_them(
    scans: Path, tmp_path: Path, stand_in_model: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["analyze", str(scans), "--model", str(stand_in_model), "--threads", "1"]
    plain, shared = tmp_path / "plain", tmp_path / "shared"
    assert call([*arguments, "-o", str(plain)]) == 3
    capsys.readouterr()
    arguments += ["-o", str(shared)]
    codes = [call([*arguments, "--shard", f"{number}/2", "--resume"]) for number in (1, 2)]
    assert sorted(codes) == [0, 3]
    assert "Share 1/2: 1 of 5 scans" in capsys.readouterr().err
    assert {path.name for path in shared.iterdir()} == {"one", "two", "three", "four"}
    assert call([*arguments, "--resume"]) == 3
    for name in COHORT_FILES:
        assert (shared / name).read_bytes() == (plain / name).read_bytes(), name


def test_a_wrong_share_is_refused_before_any_work(scans: Path, tmp_path: Path) -> None:
    assert call(["analyze", str(scans), "-o", str(tmp_path / "out"), "--shard", "4/3"]) == 2
    assert not (tmp_path / "out").exists()
