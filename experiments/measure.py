"""Measure the shipped bundles and write the result files and docs/measurements.md.

    python experiments/measure.py folds healthy slices patient engines scans docs

Needs LUNGSCORE_DATA, for "folds" and "healthy" the runs that average_runs.py makes of those of
infection-small.yaml and infection-clean.yaml for every fold (lungscore train
experiments/infection-small.yaml --fold 0, …) and of their halves of the scans without pneumonia.
"lesions", "made_disease", "small", "clean" and "averaged" measure what was tried in place of
infection 0.2, from runs of their own.
"patient" is one look at a scan that is never trained on: run it once for a bundle that would ship
and log it in docs/looks.md.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lungscore.datasets.training_slices import data_root
from lungscore.files import atomic_write
from lungscore.scan.write import write_nifti

HERE = Path(__file__).parent
RESULTS = HERE / "results"
FOLDS = 5
#: The recipe of the shipped infection network, a file in this folder.
SHIPPED = "infection-averaged"
PEERS = ("UNet", "UNet++", "Inf-Net", "Semi-Inf-Net")

#: What every scan at hand is called in the table, and where it lies.
SCANS = {
    "COVID-CT-MD P002 (DICOM, JPEG Lossless)": "covid-ct-md/P002",
    "COVID-CT-MD normal002 (DICOM, JPEG Lossless)": "covid-ct-md/normal002",
    "Lung-PET-CT-Dx (DICOM, 30 slices)": "lung-pet-ct-dx",
    "lungmask test data (DICOM, 2 slices)": "lungmask-testdata",
    "Chest Imaging Platform ct-64 (NRRD)": "chest-imaging-platform/ct-64.nrrd",
    "iCTCF via COVIDNet-CT (50 JPEG slices)": "ictcf-volume-jpg",
    "COVID-SemiSeg test crop (JPEG)": "covid-semiseg/TestingSet/LungInfection-Test/Imgs",
}


def run(*arguments: object) -> subprocess.CompletedProcess:
    """One lungscore command, as a user would type it."""
    command = [sys.executable, "-m", "lungscore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def checked(*arguments: object) -> None:
    """As run, but a failure ends the script, and results are replaced."""
    done = run(*arguments, *(["--overwrite"] if "-o" in arguments else []))
    print(done.stdout, done.stderr, flush=True)
    if done.returncode:
        sys.exit(done.returncode)


def folds(root: Path) -> None:
    """The shipped recipe out of fold, through the same code as ``predict``."""
    from lungscore.evaluation.protocols import on_held_out_slices
    from lungscore.evaluation.results import write_result
    from lungscore.statistics.estimate import text_of

    models = _of_folds(SHIPPED)
    figures = on_held_out_slices(root / "covid-semiseg", models)
    card = [
        {"name": f"out of fold, {name}", "text": text_of(figures[key], with_n=True)}
        for name, key in (("Dice at 0.5", "dice"), ("toolbox mean Dice", "toolbox_dice"))
    ]
    command = "python experiments/measure.py folds"
    file = RESULTS / "infection-folds.json"
    write_result(file, command=command, figures=figures, card=card, models=models)
    for line in card:
        print(f"{line['name']}: {line['text']}", flush=True)
    _print_classes("density", figures["lesions"])


def lesions(root: Path) -> None:
    """The network for lesions that does not ship, with the infection network of 0.2."""
    from lungscore.evaluation.protocols import on_held_out_slices
    from lungscore.evaluation.results import write_result

    models = _of_folds("infection", "lesions")
    figures = on_held_out_slices(root / "covid-semiseg", models)["lesions"]
    command = "python experiments/measure.py lesions"
    file = RESULTS / "lesions-folds.json"
    write_result(file, command=command, figures=figures, card=[], models=models)
    _print_classes("network", figures)


def _of_folds(*recipes: str) -> list:
    """What the finished runs of every fold make together, a Segmenter a fold."""
    from lungscore.inference import Segmenter, load_bundle

    runs = [[exported(recipe, f"fold{fold}-seed0") for recipe in recipes] for fold in range(FOLDS)]
    return [Segmenter(*(load_bundle(str(bundle)) for bundle in bundles)) for bundles in runs]


def _print_classes(name: str, classes: dict) -> None:
    from lungscore.statistics.estimate import text_of

    for key in ("ggo", "consolidation"):
        print(f"{key} by {name}: {text_of(classes[key]['dice'], with_n=True)}", flush=True)


def made_disease(root: Path) -> None:
    """The trial with made disease."""
    _trial(root, "infection-made-disease", "made-disease-folds.json", "made_disease")


def small(root: Path) -> None:
    """The small network."""
    _trial(root, "infection-small", "small-folds.json", "small")


def clean(root: Path) -> None:
    """The small network with negatives from other hospitals."""
    _trial(root, "infection-clean", "clean-folds.json", "clean")


def averaged(root: Path) -> None:
    """The average of the last two."""
    _trial(root, SHIPPED, "averaged-folds.json", "averaged")


def _trial(root: Path, recipe: str, name: str, step: str) -> None:
    """Another recipe than that of infection 0.2 out of fold, slice by slice against it."""
    import numpy as np

    from lungscore.evaluation.protocols import on_held_out_slices
    from lungscore.evaluation.results import write_result
    from lungscore.statistics.intervals import paired_difference

    trial = _of_folds(recipe)
    figures = on_held_out_slices(root / "covid-semiseg", trial)
    before = json.loads((RESULTS / "infection-0.2-folds.json").read_text(encoding="utf-8"))
    values = [{row["name"]: row for row in rows["slices"]} for rows in (figures, before["figures"])]
    figures["less_shipped"] = {
        key: paired_difference(*(np.array([of[name][key] for name in values[0]]) for of in values))
        for key in ("dice", "toolbox_dice", "sensitivity", "precision")
    }
    command = f"python experiments/measure.py {step}"
    write_result(RESULTS / name, command=command, figures=figures, card=[], models=trial)
    print(json.dumps(figures["less_shipped"], indent=1))


def exported(recipe: str, run_name: str) -> Path:
    """The bundle of a finished run of a recipe in this folder."""
    bundle = Path("runs") / recipe / run_name / "bundle"
    checked("models", "export", bundle.parent, "-o", bundle)
    return bundle


def slices(root: Path) -> None:
    """Test slices, ours and the peers' released maps."""
    checked("evaluate", "slices", "-o", RESULTS / "infection-slices.json")
    truth = root / "covid-semiseg/TestingSet/LungInfection-Test/GT"
    for peer in PEERS:
        maps = root / "peer-predictions/infection" / peer
        checked("evaluate", "maps", maps, truth, "-o", RESULTS / f"peer-{peer}.json")
    classes = root / "covid-semiseg/TestingSet/MultiClassInfection-Test"
    for name, truth in (("ggo", classes / "GT-1"), ("consolidation", classes / "GT-2")):
        for maps in sorted((root / "peer-predictions" / name).iterdir()):
            out = RESULTS / f"peer-{name}-{maps.name}.json"
            checked("evaluate", "maps", maps, truth, "-o", out)


def healthy(root: Path) -> None:
    """Two-fold on the healthy person, each half by the network that trained with the other one."""
    bundles = {half: exported(f"{SHIPPED}-{half}", "all-seed0") for half in ("cranial", "caudal")}
    checked(
        "evaluate", "healthy", root / "covid-ct-md/normal002",
        "-o", RESULTS / "infection-healthy.json",
        "--cranial", bundles["cranial"], "--caudal", bundles["caudal"],
    )  # fmt: skip


def patient(root: Path) -> None:
    """The volume test: one look."""
    folder = root / "covid-ct-md"
    checked(
        "evaluate", "patient", folder / "P002", folder / "P002_labels.csv", "-o",
        RESULTS / "infection-patient.json",
    )  # fmt: skip


def engines(root: Path) -> None:
    """The same masks from every engine and precision, and what each costs."""
    from engines import compare_engines

    figures = compare_engines(root / "covid-semiseg")
    write(RESULTS / "engines.json", "python experiments/measure.py engines", figures)
    print(json.dumps(figures, indent=1))


def scans(root: Path) -> None:
    """Every scan at hand through analyze, P002 also as NIfTI in two orientations."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        inputs = {name: root / path for name, path in SCANS.items()}
        crop = "COVID-SemiSeg test crop (JPEG)"
        inputs[crop] = sorted(inputs[crop].iterdir())[0]
        inputs.update(as_nifti(root / "covid-ct-md/P002", out))
        for name, path in inputs.items():
            began = time.perf_counter()
            done = run("analyze", path, "-o", out / "results", "--case-id", "case", "--overwrite")
            seconds = time.perf_counter() - began
            case = out / "results/case"
            rows.append(row(name, done, case, seconds))
            print(json.dumps(rows[-1], ensure_ascii=False)[:300], flush=True)
    write(RESULTS / "real-scans.json", "python experiments/measure.py scans", {"scans": rows})


def as_nifti(folder: Path, out: Path) -> dict[str, Path]:
    """P002 in two orientations: as DICOM stacks it, and as most NIfTI files lie (R, A, S)."""
    import nibabel as nib

    from lungscore.scan import read_scan

    first, second = out / "as-dicom.nii.gz", out / "as-ras.nii.gz"
    write_nifti(read_scan(folder), first)
    nib.save(nib.as_closest_canonical(nib.load(first)), second)
    return {"P002 as NIfTI, DICOM's axes": first, "P002 as NIfTI, RAS": second}


def row(name: str, done: subprocess.CompletedProcess, case: Path, seconds: float) -> dict:
    """What came out: figures, or the rejection's message."""
    if done.returncode:
        return {"scan": name, "exit": done.returncode, "rejected": done.stderr.strip()}
    result = json.loads((case / "result.json").read_text())
    record = json.loads((case / "run.json").read_text())
    return {
        "scan": name,
        "exit": 0,
        "slices": result["input"]["slices"],
        "lungs_ml": result["lungs"]["volume_ml"],
        "burden": result["burden"],
        "ct_ss": result["scores"]["ct_ss"]["total"],
        "ctsi": result["scores"]["ctsi"]["total"],
        "mosmed": result["scores"]["mosmed"],
        "severity": result["severity"]["category"],
        "withheld": result["severity"]["withheld"],
        "warnings": [warning["code"] for warning in result["warnings"]],
        "seconds": seconds,
        "stages": record["seconds"],
        "peak_memory_mib": record["peak_memory_mib"],
        "cpu": record["host"]["cpu"],
        "cpus": record["cpus_available"],
    }


def write(path: Path, command: str, content: dict) -> None:
    """A result file with the command that made it."""
    text = json.dumps({"command": command, **content}, indent=1, ensure_ascii=False)
    atomic_write(path, text + "\n")


def docs(root: Path) -> None:
    """docs/measurements.md and the README's figures from the result files."""
    from measurements_page import page
    from readme_figures import readme_figures

    atomic_write(HERE.parent / "docs/measurements.md", page(RESULTS))
    readme = HERE.parent / "README.md"
    head, rest = readme.read_text(encoding="utf-8").split("<!-- measured:begin -->")
    _, tail = rest.split("<!-- measured:end -->")
    lines = f"<!-- measured:begin -->\n{readme_figures(RESULTS)}\n<!-- measured:end -->"
    atomic_write(readme, head + lines + tail)


if __name__ == "__main__":
    trials = (lesions, made_disease, small, clean, averaged)
    shipped = (folds, healthy, slices, patient, engines, scans)
    steps = {step.__name__: step for step in (*shipped, *trials, docs)}
    asked = sys.argv[1:]
    if not asked or set(asked) - set(steps):
        sys.exit(f"usage: python experiments/measure.py {' '.join(steps)}")
    for step in asked:
        steps[step](data_root() if step != "docs" else Path())
