"""What can go wrong with an input, said once: stable codes, notices and exceptions.

Every input ends as exactly one of: a result, a result with recorded notices, or a rejection
with a stable code. A code never changes its meaning; new ones may be added.
"""

from dataclasses import dataclass

#: code -> what it means, in one line. docs/errors.md explains each at length.
REJECTIONS: dict[str, str] = {
    "input-not-found": "There is nothing at the given path.",
    "input-unreadable": "The file or folder cannot be opened.",
    "format-not-recognised": "The content is none of the supported formats.",
    "input-empty": "The file is empty, or the folder holds no image.",
    "several-inputs": "The folder holds several volumes.",
    "too-many-files": "The folder holds more files than one examination has.",
    "archive-unsafe": "The archive is a bomb, is nested, or its members escape their folder.",
    "archive-damaged": "The archive cannot be unpacked.",
    "dicom-unreadable": "A DICOM header cannot be parsed.",
    "dicom-truncated": "A DICOM file ends before its pixels do.",
    "codec-missing": "The compressed pixel data cannot be decoded here.",
    "wrong-modality": "The images are not CT.",
    "no-axial-ct": "No series of axial CT slices is present.",
    "series-not-found": "The series asked for is not in the input.",
    "multiframe-unsupported": "Enhanced multi-frame CT is not supported yet.",
    "mixed-patients": "Images of more than one patient or study lie together.",
    "mixed-geometry": "Slices of one series differ in size, spacing or orientation.",
    "slice-gap": "One or more slices are missing.",
    "irregular-spacing": "The slices are not evenly spaced.",
    "duplicate-position": "Two different images stand at one position.",
    "gantry-tilt": "The slices are sheared against each other (gantry tilt).",
    "spacing-out-of-range": "The voxel size is not that of a chest CT.",
    "geometry-invalid": "The affine is singular, not finite or sheared.",
    "volume-too-large": "The header promises more voxels than can be a chest CT.",
    "volume-4d": "The file holds more than one volume.",
    "not-hounsfield": "The values are not Hounsfield units where they should be.",
    "not-finite": "The volume holds values that are not numbers.",
    "constant-image": "All voxels have one value.",
    "colour-image": "The image is in colour, not grey levels.",
    "slices-differ-in-size": "The slices of the folder differ in size and are no volume.",
    "no-lungs": "No lungs were found.",
    "mask-geometry": "A mask does not lie in the geometry of the scan.",
    "mask-labels": "A mask holds labels that are not known.",
    "case-incomplete": "A folder of results lacks result.json or a mask.",
    "case-damaged": "A result.json cannot be read, or its masks are not those it was made of.",
    "schema-mismatch": "A result.json was written in another schema.",
    "table-invalid": "A table of ratings cannot be read, or holds a wrong value.",
    "too-few-cases": "Two raters share too few cases.",
    "no-common-measure": "Two raters share no measure.",
    "too-few-patients": "A class has too few patients for a model, or there are too few in all.",
    "model-not-identified": "The cases do not determine the coefficients of a model.",
    "output-exists": "The output is there already and --overwrite was not given.",
    "output-not-writable": "The output cannot be written.",
    "disk-full": "The disk is full.",
    "out-of-memory": "There is not enough memory.",
    "worker-lost": "The process or computer that analysed a case was lost, and again at a retry.",
    "cluster-unusable": "The Ray cluster cannot be used: no answer, no cores, or no shared folder.",
    "model-missing": "A model bundle is incomplete or not there.",
    "model-damaged": "A model file does not have the checksum its card states.",
    "engine-missing": "The inference engine asked for is not installed.",
    "timed-out": "A case took longer than --timeout allows.",
    "library-missing": "A library that this command needs is not installed.",
    "precision-unsupported": "The engine cannot run at the precision asked for.",
    "config-invalid": "An experiment file has an unknown key or a wrong value.",
    "dataset-incomplete": "A dataset's folder lacks images or labels.",
    "dataset-faulty": "A dataset is incomplete or damaged; lungscore data check lists what.",
    "manifest-invalid": "A manifest lacks a column or holds a wrong value.",
    "label-invalid": "A label image holds values outside its table.",
    "checkpoint-mismatch": "A checkpoint or weights file belongs to another network.",
    "run-missing": "An experiment builds on a run that is not finished.",
    "benchmark-incomplete": "A run or a row of the comparison failed; the others went on.",
    "loss-not-finite": "The training loss became NaN or infinite.",
    "usage": "The arguments do not fit together.",
    "internal": "A bug in lungscore.",
}

#: code -> what it means. Notices are recorded in the result and shown on top of the report.
NOTICES: dict[str, str] = {
    "approximate-8bit": "Grey levels instead of Hounsfield units: percentages are approximate.",
    "approximate-regions": "The 20 regions are geometric approximations, not segments.",
    "approximate-lobes": "The lobes are approximated from the lungs' geometry.",
    "hu-split": "GGO and consolidation are told apart by a Hounsfield (or grey) threshold.",
    "no-spacing": "No voxel size is known: volumes in ml are not given.",
    "single-slice": "One slice: percent of this slice; scores of a volume are not given.",
    "unknown-orientation": "Right and left are not known: scores by side or lobe are not given.",
    "truncated-scan": "The lungs touch the end of the volume: the scan is not complete.",
    "lung-volume": "The lung volume is unusual.",
    "thick-slices": "The slices are 5 mm or thicker.",
    "coarse-pixels": "The pixels are far larger than those that the network learned on.",
    "unlike-training": "The images are unlike those that the network learned from.",
    "uncertain-infection": "The network is too unsure of the infection to name a category.",
    "infection-gap": "A slice between two clearly infected ones shows no infection.",
    "gaps-interpolated": "Missing slices were interpolated as asked (--allow-gaps).",
    "duplicate-file": "The same image stood twice and was used once.",
    "series-left-out": "The input holds further series that were not used.",
    "files-ignored": "Files that are no CT images were ignored.",
    "contrast": "The scan says that contrast was given.",
    "lossy-compression": "The images were compressed with loss.",
    "hu-implausible": "Air or soft tissue is not where Hounsfield units put it.",
    "rescale-missing": "No rescale slope or intercept: values were taken as Hounsfield units.",
    "values-replaced": "A few values that are not numbers were replaced by air.",
    "geometry-repaired": "The stated geometry was slightly inconsistent and was repaired.",
    "header-incomplete": "The header lacks fields that a CT should have.",
    "one-lung": "Only one lung was found.",
    "lungs-from-lesions": "Part of the lung mask was filled where dense infection hid it.",
    "lungs-from-shape": "Part of the lung mask is dense tissue at the ribs, enclosed by lung.",
    "user-lungs": "The lung mask was given by the user.",
    "user-lobes": "The lobe mask was given by the user.",
    "lobes-incomplete": "The lobe mask leaves out part of the lungs.",
    "severity-withheld": "The severity category is withheld; the reasons stand beside it.",
    "not-computable": "A number could not be computed.",
    "no-ct": "No CT was given: numbers that need Hounsfield units are not given.",
    "identical-inputs": "Both examinations that are compared are the same.",
    "units-differ": "One examination has Hounsfield units, the other grey levels.",
    "lung-volume-changed": "The lung volume changed by more than 15 %: another depth of breath.",
    "slice-spacing-differs": "The distances of slices are very different.",
    "methods-differ": "Another version, model or precision measured the other examination.",
    "masks-differ": "Lungs or lobes were given by the user in one examination only.",
    "cases-unmatched": "Cases of one rater are not among those of the other.",
    "values-missing": "A rater gives no value for some cases: they are left out of that measure.",
    "columns-ignored": "A table has columns that name no measure.",
    "few-cases": "So few cases that the figures of agreement say little.",
}


@dataclass(frozen=True)
class Notice:
    """Something the user should know about an otherwise good result."""

    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in NOTICES:
            raise ValueError(f"unknown notice code {self.code!r}")


class LungscoreError(Exception):
    """A failure with a stable code, what was found, what was expected and what to do.

    ``exit_code`` follows the command line's contract: 2 usage, 3 input, 4 resources, 5 internal.
    """

    exit_code = 5

    def __init__(self, code: str, found: str, *, expected: str = "", hint: str = "") -> None:
        if code not in REJECTIONS:
            raise ValueError(f"unknown rejection code {code!r}")
        self.code, self.found, self.expected, self.hint = code, found, expected, hint
        super().__init__(self.message)

    def __reduce__(self) -> tuple:
        """Lets the error travel from a worker process with all it says."""
        return _rebuild, (type(self), self.code, self.found, self.expected, self.hint)

    @property
    def message(self) -> str:
        """One line: found; expected; hint."""
        parts = [self.found]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.hint:
            parts.append(self.hint)
        return "; ".join(parts)


def _rebuild(
    kind: type[LungscoreError], code: str, found: str, expected: str, hint: str
) -> LungscoreError:
    return kind(code, found, expected=expected, hint=hint)


class InputError(LungscoreError):
    """The input cannot be analysed (exit code 3)."""

    exit_code = 3


class ResourceError(LungscoreError):
    """Disk, memory, an engine or a model is missing (exit code 4)."""

    exit_code = 4


class UsageError(LungscoreError):
    """The arguments do not fit together (exit code 2)."""

    exit_code = 2
