"""Results of a cohort as a BIDS derivatives dataset, for research.

BIDS has no modality for CT yet: masks lie under ``anat/``, as of any anatomical image. Source: BIDS
1.10, "Derivatives" and "Imaging data types: segmentations".
"""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lungscore.errors import UsageError
from lungscore.files import atomic_write
from lungscore.pacs.segmentation import SEGMENTS
from lungscore.report.case_folder import appearing, check_writable
from lungscore.result.numbers import MEASURES, Number
from lungscore.result.stored import read_results
from lungscore.version import RESEARCH_USE, __version__

#: The folder of the dataset in a folder of results, and the version of BIDS it follows.
FOLDER, VERSION = "bids", "1.10.0"

_DESCRIPTION = "dataset_description.json"
_MASKS = ("lungs", "lobes", "lesions", "regions")
_UNITS = {"percent": "percent", "ml": "mL"}


def write_bids(results: Path, *, replace: bool = False) -> Path:
    """Write the dataset of all cases in a folder of results into ``results``/bids.

    Parameters
    ----------
    results : path
        Folder of case folders written by ``analyze`` or ``score``.
    replace : bool
        Replace a dataset that lungscore wrote.

    Returns
    -------
    Path
        The folder of the dataset, which appears when all of it is written.

    Raises
    ------
    UsageError
        ``output-exists`` where there is a folder that lungscore did not write, or ``replace`` is
        False.
    InputError
        What reading results raises.
    ResourceError
        ``output-not-writable`` or ``disk-full``.
    """
    folder = results / FOLDER
    refuse_bids(results, replace=replace)
    stored = [(case, path.parent, content) for case, path, content in read_results(results)]
    names = participants([case for case, _, _ in stored])
    with appearing(folder, overwrite=replace) as staging:
        for name, text in _root(names, stored).items():
            atomic_write(staging / name, text)
        for case, source, content in stored:
            _write_subject(staging / names[case] / "anat", names[case], source, content)
    return folder


def refuse_bids(results: Path, *, replace: bool) -> None:
    """Raise UsageError ``output-exists`` where the dataset may not be written."""
    folder = results / FOLDER
    check_writable(results)
    if folder.exists() and not (replace and _is_ours(folder)):
        raise UsageError(
            "output-exists",
            f"{FOLDER} already exists in the output folder",
            hint="Use --overwrite or --resume to replace a dataset that lungscore wrote"
            if _is_ours(folder)
            else "lungscore did not write it, and will not replace it. Move it away",
        )


def _is_ours(folder: Path) -> bool:
    try:
        content = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        return any(tool["Name"] == "lungscore" for tool in content["GeneratedBy"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def participants(cases: Sequence[str]) -> dict[str, str]:
    """case -> ``sub-<label>``: its letters and digits; eight of its SHA-256 where two are alike."""
    plain = {case: re.sub(r"[^A-Za-z0-9]", "", case) for case in cases}
    alike = Counter(label.casefold() for label in plain.values())
    return {
        case: f"sub-{label}"
        if label and alike[label.casefold()] == 1
        else f"sub-{label}{hashlib.sha256(case.encode()).hexdigest()[:8]}"
        for case, label in plain.items()
    }


def _root(
    names: Mapping[str, str], stored: Sequence[tuple[str, Path, Mapping[str, Any]]]
) -> dict[str, str]:
    """The files at the root of the dataset."""
    description = {
        "Name": "Lung opacity on chest CT",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "lungscore", "Version": __version__, "Description": RESEARCH_USE}],
    }
    columns = ("participant_id", "case", *MEASURES)
    lines = ["\t".join(columns)]
    for case, _, content in stored:
        cells = (_cell(number.value(content)) for number in MEASURES.values())
        lines.append("\t".join((names[case], _text(case), *cells)))
    explained = {"case": {"Description": "Name of the case in lungscore's results"}}
    files = {
        _DESCRIPTION: _json(description),
        "README.md": f"Masks and scores of chest CTs by lungscore {__version__}. {RESEARCH_USE}\n",
        "participants.tsv": "\n".join(lines) + "\n",
        "participants.json": _json(
            explained | {name: _column(number) for name, number in MEASURES.items()}
        ),
    }
    for kind in _MASKS:
        files[f"desc-{kind}_dseg.tsv"] = "\n".join(_table(kind)) + "\n"
    return files


def _column(number: Number) -> dict[str, Any]:
    column: dict[str, Any] = {"Description": number.heading + number.scale}
    if number.unit in _UNITS:
        column["Units"] = _UNITS[number.unit]
    if number.classes:
        column["Levels"] = {name: name for name in number.classes}
    return column


def _table(kind: str) -> Iterator[str]:
    """The table of label values: index, name, abbreviation, colour, code."""
    yield "index\tname\tabbreviation\tcolor\tmapping"
    for segment in sorted(SEGMENTS[kind], key=lambda entry: entry.label):
        code = segment.kind
        cells = (segment.label, segment.title, segment.key, segment.colour)
        yield "\t".join((*map(str, cells), f"{code.scheme}:{code.value}"))


def _write_subject(folder: Path, name: str, source: Path, content: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True)
    for kind in _MASKS:
        mask = source / f"{kind}.nii.gz"
        if not mask.is_file():
            continue
        stem = f"{name}_space-orig_desc-{kind}_dseg"
        shutil.copyfile(mask, folder / f"{stem}.nii.gz")
        about = {
            "Description": f"{kind.capitalize()} on a chest CT",
            "Manual": False,
            "Resolution": "That of the CT",
            "Models": [f"{model['name']} {model['version']}" for model in content["models"]],
            "Warnings": [warning["code"] for warning in content["warnings"]],
        }
        atomic_write(folder / f"{stem}.json", _json(about))


def _cell(value: Any) -> str:
    return "n/a" if value is None else str(value)


def _text(case: str) -> str:
    return re.sub(r"\s", " ", case)


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
