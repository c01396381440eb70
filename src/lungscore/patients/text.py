"""The figures of detection and of clinical severity as plain text, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from lungscore.statistics.estimate import number_text, text_of
from lungscore.version import RESEARCH_USE

_WIDE = 36


def figure_text(figure: Mapping[str, Any], decimals: int = 3, *, with_n: bool = True) -> str:
    """ "0.841 [0.815, 0.866], n = 1669"; why there is none where there is none."""
    why = f"not given: {figure.get('reason')}"
    return text_of(figure, "value", decimals, with_n=with_n, nothing=why)


def detection_table(content: Mapping[str, Any]) -> str:
    """The figures of ``detection.figures``."""
    burden = content["burden_alone"]
    counts = ", ".join(f"{name} {n}" for name, n in content["patients_by_class"].items())
    (floor,) = (key for key in burden if key.startswith("at_"))
    percent = floor.removeprefix("at_").removesuffix("_percent")
    lines = [
        f"Infection pattern, {content['how']}: {RESEARCH_USE}",
        "",
        _line("patients", f"{content['patients']} ({counts}), {content['scans']} scans"),
        _line("features", ", ".join(content["features"])),
        "",
        _line("AUC", figure_text(content["auc"])),
        *_rates(content["at_operating_point"], "at the operating point"),
        *_calibration(content["calibration"]),
        f"    {'predicted':>10}  observed",
        *(
            f"    {group['predicted']:>10.3f}  {figure_text(group['observed'])}"
            for group in content["calibration"]["reliability"]
        ),
        "",
        _line("infection percent alone: AUC", figure_text(burden["auc"])),
        _line("  AUC more than that", figure_text(burden["auc_difference"])),
        *_rates(burden[floor], f"at {percent} % of the lungs"),
    ]
    return _text([*lines, *_left_out(content)])


def clinical_table(content: Mapping[str, Any]) -> str:
    """The figures of ``clinical_figures.figures``."""
    classes, names = content["classes"], list(content["patients_by_class"])
    lines = [
        f"Clinical severity, {content['how']}: {RESEARCH_USE}",
        "",
        _line("patients", str(content["patients"])),
        _line("features and covariates", ", ".join(content["inputs"])),
        "",
        _line("accuracy", figure_text(classes["accuracy"])),
        _line("  always the commonest class", figure_text(classes["always_the_commonest"])),
        _line("quadratic weighted kappa", figure_text(classes["quadratic_kappa"])),
        "",
        f"  {'class':<12}{'n':>6}   {'recall':<30}precision",
    ]
    for name in names:
        figures = classes["by_class"][name]
        recall, precision = (
            figure_text(figures[key], with_n=False) for key in ("recall", "precision")
        )
        lines.append(f"  {name:<12}{figures['n']:>6}   {recall:<30}{precision}")
    lines += ["", *_confusion(classes["confusion"], names), ""]
    if (severe := content["severe_or_critical"]) is not None:
        ct_ss = severe["ct_ss_alone"]
        (cut,) = (key for key in ct_ss if key.startswith("above_"))
        lines += [
            _line("severe or critical: AUC", figure_text(severe["auc"])),
            *_rates(severe["at_operating_point"], "at the operating point"),
            _line("CT-SS alone: AUC", figure_text(ct_ss["auc"])),
            _line("  AUC more than that", figure_text(ct_ss["auc_difference"])),
            *_rates(ct_ss[cut], f"above {cut.removeprefix('above_')}"),
            "",
        ]
    rule = content["slice_rule"]
    slices, patients = rule["slices"], rule["patients_by_worst_slice"]
    lines += [
        _line("rule by slices: micro F1", figure_text(slices["micro_f1"])),
        _line("  always class 0", figure_text(slices["always_0"])),
        _line("  patients by worst slice", figure_text(patients["micro_f1"])),
        _line("  always class 0", figure_text(patients["always_0"])),
    ]
    for name, calibration in content["calibration"].items():
        lines += ["", f"  {name}", *_calibration(calibration)]
    return _text([*lines, *_left_out(content)])


def coefficient_table(features: Sequence[Any], thresholds: Sequence[float]) -> str:
    """The coefficients of a clinical model (stored.FeaturePart) with their intervals."""
    lines = ["  log odds of a graver class for one standard deviation more:"]
    for feature in features:
        figure = {"value": feature.coefficient, "low": feature.low, "high": feature.high, "n": 0}
        shape = f"log(1 + {feature.name})" if feature.transform == "log1p" else feature.name
        lines.append(_line(f"  {shape}", figure_text(figure, with_n=False)))
    lines.append(_line("  thresholds", ", ".join(number_text(value, 3) for value in thresholds)))
    return _text(lines)


def _calibration(content: Mapping[str, Any]) -> list[str]:
    return [
        _line("Brier score", figure_text(content["brier"])),
        _line("calibration slope (1 is right)", figure_text(content["slope"], 2)),
        _line("calibration intercept (0 is right)", figure_text(content["intercept"], 2)),
    ]


def _rates(content: Mapping[str, Any], where: str) -> list[str]:
    return [
        _line(f"  sensitivity {where}", figure_text(content["sensitivity"])),
        _line(f"  specificity {where}", figure_text(content["specificity"])),
    ]


def _confusion(table: Sequence[Sequence[int]], names: Sequence[str]) -> list[str]:
    head = "".join(f"{name:>10}" for name in names)
    return [
        f"  {'true class':<12}{head}   (columns: found)",
        *(
            f"  {name:<12}" + "".join(f"{cell:>10}" for cell in row)
            for name, row in zip(names, table, strict=True)
        ),
    ]


def _left_out(content: Mapping[str, Any]) -> list[str]:
    if not content.get("left_out"):
        return []
    lines = ["", "  left out:"]
    for reason, entry in content["left_out"].items():
        labels = entry.get("labels")
        told = f" ({', '.join(f'{label} {n}' for label, n in labels.items())})" if labels else ""
        cases = entry.get("cases", [])
        few = f": {', '.join(cases)}" if 0 < len(cases) <= 3 else ""
        lines.append(f"    {entry['n']:>6}  [{reason}] {entry['meaning']}{told}{few}")
    return lines


def _line(name: str, text: str) -> str:
    return f"  {name:<{_WIDE}} {text}"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"
