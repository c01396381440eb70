"""What can go wrong with an input, said once: stable codes, notices and exceptions.

Every input ends as exactly one of: a result, a result with recorded notices, or a rejection
with a stable code. A code never changes its meaning; new ones may be added.
"""

import json
import unicodedata
from dataclasses import dataclass
from typing import Literal

#: code -> what it means, in one line. docs/errors.md explains each at length.
REJECTIONS: dict[str, str] = {
    "input-not-found": "No file or folder exists at the given path.",
    "input-unreadable": "The file or folder cannot be opened.",
    "format-not-recognised": "The content is none of the supported formats.",
    "input-empty": "The file is empty, or the folder contains no image.",
    "several-inputs": "The folder contains several volumes.",
    "too-many-files": "The folder contains more files than one examination has.",
    "folders-too-deep": "Folders are nested more deeply than in any export.",
    "archive-unsafe": "The archive is a bomb, is nested, or its members escape their folder.",
    "archive-damaged": "The archive cannot be unpacked.",
    "dicom-unreadable": "A DICOM header cannot be parsed.",
    "dicom-truncated": "A DICOM file ends before its pixels do.",
    "codec-missing": "The compressed pixel data cannot be decoded here.",
    "wrong-modality": "The images are not CT.",
    "no-axial-ct": "No series of axial CT slices is present.",
    "series-not-found": "The series asked for is not in the input.",
    "multiframe-unsupported": "Enhanced multi-frame CT is not supported yet.",
    "mixed-patients": "The input mixes images of more than one patient or study.",
    "mixed-geometry": "Slices of one series differ in size, spacing or orientation.",
    "slice-gap": "One or more slices are missing.",
    "slices-faulty": "Slices are blank, cut off, or do not go on from their neighbours.",
    "rescale-inconsistent": "Some slices state how their values are scaled, others do not.",
    "mixed-acquisitions": "Slices of several acquisitions alternate, or slices occur twice.",
    "irregular-spacing": "The slices are not evenly spaced.",
    "duplicate-position": "Two different images have the same position.",
    "gantry-tilt": "The slices are sheared against each other (gantry tilt).",
    "spacing-out-of-range": "The voxel size is not that of a chest CT.",
    "geometry-invalid": "The affine is singular, not finite or sheared.",
    "volume-too-large": "The header promises more voxels than can be a chest CT.",
    "volume-4d": "The file contains more than one volume.",
    "not-hounsfield": "The values are not Hounsfield units where they should be.",
    "not-finite": "The volume contains values that are not numbers.",
    "constant-image": "All voxels have the same value.",
    "colour-image": "The image is in colour, not grey levels.",
    "slices-differ-in-size": "The slices in the folder differ in size and do not form a volume.",
    "no-lungs": "No lungs were found.",
    "mask-geometry": "A mask does not match the geometry of the scan.",
    "mask-labels": "A mask contains unknown labels.",
    "case-incomplete": "A folder of results lacks result.json or a mask.",
    "case-damaged": "A result.json cannot be read, or it does not match its masks.",
    "schema-mismatch": "A result.json has another schema version.",
    "source-not-dicom": "A result was computed from another format than DICOM.",
    "source-missing": "The DICOM series of a result is not in the given folder.",
    "source-changed": "The DICOM series is no longer the one that was analysed.",
    "source-unusable": "The DICOM series lacks identifiers that DICOM objects must refer to.",
    "image-refused": "An object sent to the node is not a CT image, or its identifiers are wrong.",
    "image-differs": "An image came to the node again with another content.",
    "sender-refused": "A sender is not on the node's lists, or does not speak DICOM (over TLS).",
    "study-changed": "A study got further images while the node analysed it.",
    "study-not-found": "The archive does not have the CT study asked for.",
    "pixels-identifying": "The pixels of an object may show who the patient is.",
    "table-invalid": "A table of ratings cannot be read, or contains a wrong value.",
    "too-few-cases": "The raters have too few cases in common.",
    "no-common-measure": "The raters have no measure in common.",
    "too-few-patients": "There are too few patients for a model, in total or in one class.",
    "model-not-identified": "The cases do not determine the coefficients of a model.",
    "output-exists": "The output exists and --overwrite was not given.",
    "output-not-writable": "The output cannot be written.",
    "disk-full": "The disk is full.",
    "out-of-memory": "There is not enough memory.",
    "worker-lost": "The process or computer that analysed a case was lost, twice.",
    "cluster-unusable": "The Ray cluster cannot be used: no answer, no cores, or no shared folder.",
    "node-full": "The node has no room: its disk or its queue is full.",
    "node-running": "Another node uses the same folder.",
    "node-damaged": "The state or the key of a node cannot be read, or images of a study are gone.",
    "address-in-use": "The port to listen at cannot be had.",
    "archive-failed": "An archive cannot be reached, refuses, or does not confirm.",
    "destination-unknown": "Results wait for a destination that the node no longer has.",
    "model-missing": "A model is missing or incomplete.",
    "model-damaged": "A model file does not match the checksum in its card.",
    "engine-missing": "The inference engine asked for is not installed.",
    "device-missing": "The graphics card asked for is not there or cannot be used.",
    "device-unsupported": "The engine does not run on the device asked for.",
    "device-memory": "The memory of the graphics card does not suffice.",
    "timed-out": "A case took longer than --timeout allows.",
    "library-missing": "A library that this command needs is not installed.",
    "precision-unsupported": "The engine cannot run at the precision asked for.",
    "config-invalid": "An experiment file has an unknown key or a wrong value.",
    "dataset-incomplete": "A dataset's folder lacks images or labels.",
    "dataset-faulty": "A dataset is incomplete or damaged; lungscore data check lists what.",
    "manifest-invalid": "A manifest lacks a column or contains a wrong value.",
    "patient-on-both-sides": "A patient or an image is in two groups of the training data.",
    "mask-empty": "A mask marks nothing, and its image is not said to be negative.",
    "content-changed": "A file differs from the one in the manifest.",
    "label-invalid": "A label image contains unknown values.",
    "checkpoint-mismatch": "A checkpoint or weights file belongs to another network.",
    "run-missing": "An experiment builds on a run that is not finished.",
    "weights-differ": "A run was started from other weights than those that were measured.",
    "benchmark-incomplete": "A run or a row of the comparison failed; the others went on.",
    "loss-not-finite": "The training loss became NaN or infinite.",
    "review-invalid": "A change of the masks that a browser asked for cannot be made.",
    "review-in-use": "A reader of the same name has the case open elsewhere.",
    "review-ended": "A session of a review was closed, or taken over by another page.",
    "review-missing": "No review can be exported.",
    "port-in-use": "The review server cannot listen on its address.",
    "review-stale": "A case was analysed anew after a review of it began.",
    "review-damaged": "A saved review or the log of one cannot be read.",
    "review-not-found": "A case, review or slice that a browser asked for is not there.",
    "review-forbidden": "A request to the review server is not allowed.",
    "review-blinded": "A reader who is blinded asked for what must not be seen.",
    "review-busy": "The review server has as much to do as it takes on.",
    "review-too-large": "A request to the review server is too large.",
    "review-behind": "A change was made to another version of the masks.",
    "not-analysable": "The input led to an error in lungscore; the message is the report to send.",
    "usage": "The arguments do not fit together.",
    "internal": "A bug in lungscore.",
}

#: code -> what it means. Notices are recorded in the result and shown on top of the report.
NOTICES: dict[str, str] = {
    "approximate-8bit": "The images have no Hounsfield units: percentages are approximate.",
    "approximate-regions": "The 20 regions are geometric approximations, not segments.",
    "lobe-missing": "A lobe may be missing, resected or collapsed.",
    "uncertain-lobes": "A lobe may be far from where a reader would draw it.",
    "approximate-lobes": "The lobes are estimated from the shape of the lungs.",
    "hu-split": "GGO and consolidation are separated by a Hounsfield or grey-level threshold.",
    "no-spacing": "The voxel size is unknown: volumes in ml are not given.",
    "single-slice": "The input is one slice: scores of a volume are not given.",
    "unknown-orientation": "Right and left are unknown: scores by side or lobe are not given.",
    "truncated-scan": "The lungs are cut off at the end of the volume.",
    "lung-volume": "The lung volume is unusual.",
    "thick-slices": "The slices are 5 mm or thicker.",
    "coarse-pixels": "The pixels are far larger than those of the training images.",
    "unlike-training": "The images are unlike the training images.",
    "uncertain-infection": "The network is too uncertain about the infection to give a category.",
    "infection-gap": "A slice between two with clear opacity shows next to none.",
    "borderline-category": "Under other reasonable readings the category is another one.",
    "gaps-interpolated": "Missing slices were interpolated as asked (--allow-gaps).",
    "slices-replaced": "Faulty slices were interpolated as asked (--allow-gaps).",
    "slices-blank": "Blank slices before or after the body count as outside the body.",
    "edges-blank": "Rows or columns at the edges hold one value and count as air.",
    "slices-padded": "Slices at the ends are partly blank, as in a scan that was rotated.",
    "slices-abrupt": "The body changes abruptly between two slices: some may be missing.",
    "slices-repeated": "Neighbouring slices are identical, pixel by pixel.",
    "uid-repeated": "Different images share one SOPInstanceUID.",
    "series-merged": "Images that each have a series UID of their own were read as one series.",
    "patient-differs": "Images of one patient ID differ in the patient's name or birth date.",
    "averaged-images": "The images are averages or projections of slices, or are called so.",
    "duplicate-file": "The same image occurred twice; one copy was used.",
    "series-left-out": "The input contains further series that were not used.",
    "files-ignored": "Files that are not CT images were ignored.",
    "contrast": "A contrast agent was given, according to the scan.",
    "lossy-compression": "The images were compressed lossily.",
    "hu-implausible": "Air or soft tissue has implausible Hounsfield units.",
    "rescale-missing": "Rescale slope and intercept are missing: the values were taken as HU.",
    "values-replaced": "A few values that are not numbers were replaced by air.",
    "geometry-repaired": "The stated geometry was slightly inconsistent and was repaired.",
    "header-incomplete": "The header lacks fields that a CT should have.",
    "one-lung": "Only one lung was found.",
    "lungs-disagree": "The lung network and the rules draw the lungs differently somewhere.",
    "lungs-doubtful": "The lungs are too doubtful for a severity category.",
    "lungs-outline": "The outline of a lung cuts dense tissue where no edge shows.",
    "lungs-ragged": "The outline of a lung is ragged at the ribs.",
    "lung-density": "Lung outside the detected opacity is unusually dense: it may be missed.",
    "lungs-uneven": "A lung is far smaller in some slices than above and below.",
    "lungs-unequal": "One lung is far smaller than the other.",
    "lungs-cut-sideways": "The field of view cuts the lungs off at a side.",
    "gas-below-diaphragm": "Low in a lung there is gas: stomach, bowel or a bulla.",
    "air-outside-lungs": "Air within the rib cage is in no lung, though it may be lung.",
    "no-trachea": "No trachea was found.",
    "dense-outside-lungs": "Dense tissue within the rib cage is in no lung, though it may be lung.",
    "solid-lung": "Solid lung that the network did not mark counts as consolidation.",
    "lesions-outside": "Much of the opacity lies outside the lung mask that was given.",
    "lungs-from-lesions": "The lung mask was extended by dense opacity.",
    "lungs-from-shape": "The lung mask was extended by dense tissue at the ribs.",
    "device-replaced": "The memory of the graphics card did not suffice: the processor was used.",
    "user-lungs": "The lung mask was supplied by the user.",
    "user-lobes": "The lobe mask was supplied by the user.",
    "lobes-incomplete": "The lobe mask does not cover the whole lungs.",
    "severity-withheld": "The severity category is withheld, with the reasons.",
    "not-computable": "A number could not be computed.",
    "no-ct": "No CT was given: numbers that need Hounsfield units are not given.",
    "identical-inputs": "The two examinations are the same.",
    "units-differ": "One examination has Hounsfield units, the other grey levels.",
    "lung-volume-changed": "The lung volume changed by more than 15 %, as in another breath.",
    "slice-spacing-differs": "The slice spacings are very different.",
    "methods-differ": "The examinations were measured with different methods.",
    "masks-differ": "Lungs or lobes were supplied by the user in one examination only.",
    "cases-unmatched": "Some cases were not rated by every rater.",
    "values-missing": "Some cases lack a value and are left out of that measure.",
    "columns-ignored": "A table has columns that are not measures.",
    "few-cases": "There are too few cases for firm conclusions about agreement.",
}

#: Notices that are true of every analysis, whatever the scan: limits of the method.
STANDING = frozenset({"approximate-lobes", "approximate-regions", "hu-split"})

NoticeKind = Literal["standing", "particular"]


def escaped(text: str, *, lines: bool = False) -> str:
    """``text`` with control and formatting characters as JSON escapes them (\\u001b).

    A file's name could else move a terminal's cursor, begin a line of its own or turn the direction
    of writing. lines: leave line feeds.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        json.dumps(letter)[1:-1]
        if unicodedata.category(letter) in _INVISIBLE and not (lines and letter == "\n")
        else letter
        for letter in text
    )


#: Unicode categories of characters that show nothing of themselves; spaces are none of them. Lone
#: surrogates (Cs) stand for bytes of a file's name that are no UTF-8, and cannot be written.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@dataclass(frozen=True)
class Notice:
    """Something the user should know about an otherwise good result."""

    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in NOTICES:
            raise ValueError(f"unknown notice code {self.code!r}")
        object.__setattr__(self, "message", escaped(sentence(self.message)))

    @property
    def kind(self) -> NoticeKind:
        """Whether it is true of every analysis, or of this scan in particular."""
        return "standing" if self.code in STANDING else "particular"


class LungscoreError(Exception):
    """A failure with a stable code, what was found, what was expected and what to do.

    ``exit_code`` follows the command line's contract: 2 usage, 3 input, 4 resources, 5 internal.
    """

    exit_code = 5

    def __init__(self, code: str, found: str, *, expected: str = "", hint: str = "") -> None:
        if code not in REJECTIONS:
            raise ValueError(f"unknown rejection code {code!r}")
        self.code, self.found = code, escaped(found)
        self.expected, self.hint = escaped(expected), escaped(hint)
        super().__init__(self.message)

    def __reduce__(self) -> tuple:
        """Lets the error travel from a worker process with all it says."""
        return _rebuild, (type(self), self.code, self.found, self.expected, self.hint)

    @property
    def message(self) -> str:
        """On one line, in sentences: what was found, what was expected, what to do."""
        sentences = [self.found]
        if self.expected:
            sentences.append(f"Expected: {self.expected}")
        if self.hint:
            sentences.append(self.hint)
        return " ".join(map(sentence, sentences))


def sentence(text: str) -> str:
    """``text`` with a full stop, unless it has an end already."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


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
