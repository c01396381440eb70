"""The parts of docs/measurements.md on whole scans through `analyze`, and on engines."""

from typing import Any

from lungscore.result.schema import engine_text


def scans(content: dict[str, Any]) -> str:
    """What came out of every scan. content: real-scans.json."""
    rows = []
    for scan in content["scans"]:
        if scan["exit"]:
            reason = " ".join(scan["rejected"].split())
            rows.append(f"| {scan['scan']} | exit {scan['exit']} | | | | | {reason} |")
            continue
        burden = scan["burden"]
        severity = scan["severity"] or "withheld: " + ", ".join(scan["withheld"])
        rows.append(
            f"| {scan['scan']} | {scan['slices']} | {_number(scan['lungs_ml'], 0)} | "
            f"{_number(burden['infection_percent'], 1)} | {_number(scan['ct_ss'], 0)} | "
            f"{severity} | {', '.join(scan['warnings'])} |"
        )
    return "\n".join(
        [
            "## All available scans through `lungscore analyze`",
            "",
            "| scan | slices | lungs, ml | infection, % | CT-SS | severity | warnings |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "These are the program's results, not the truth: only P002 and normal002 have a known "
            "answer. normal002 was trained on, so its row is not a measurement.",
        ]
    )


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def stages(content: dict[str, Any]) -> str:
    """Seconds of the first of them. content: real-scans.json."""
    scan = content["scans"][0]
    rows = [f"| {name} | {seconds:.1f} |" for name, seconds in scan["stages"].items()]
    return "\n".join(
        [
            "## Where the time goes",
            "",
            f"`lungscore analyze` on P002 ({scan['slices']} slices of 512 × 512), "
            f"{scan['cpus']} threads of {scan['cpu']}, one run, cold start: "
            f"**{scan['seconds']:.1f} s** from the command to its end, "
            f"{scan['peak_memory_mib']} MiB of memory at most.",
            "",
            "| stage | seconds |",
            "|---|---|",
            *rows,
        ]
    )


def engines(content: dict[str, Any]) -> str:
    """Whether engines agree, and what each costs. content: engines.json."""
    lowest = {
        precision: min(
            row["dice_at_equal_precision"]
            for row in content["engines"]
            if row["precision"] == precision
        )
        for precision in ("f32", "bf16")
    }
    verdict = "; ".join(
        f"at {precision} {value:.4f}, the aim is {'met' if value >= 0.999 else 'missed'}"
        for precision, value in lowest.items()
    )
    rows = [
        f"| {engine_text({'name': row['engine'], **row})} | {row['dice']:.5f} | "
        f"{row['dice_at_equal_precision']:.5f} | "
        f"{row['largest_percent_difference']:.3f} | {row['relative_time']:.2f} |"
        for row in content["engines"]
    ]
    return "\n".join(
        [
            "## The same masks from every engine",
            "",
            f"Command: `{content['command']}`. {content['slices']} slices: the phantom (moderate, "
            "seed 0) and the training crops. Dice of all infected pixels with OpenVINO at f32, the "
            "largest difference in a slice's infected percent, and the network's time relative to "
            "OpenVINO f32 in the same run. `auto` means f32; bf16 is used only on request.",
            "",
            "| engine | Dice with OpenVINO f32 | with OpenVINO, same precision | "
            "largest difference, points | relative time |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Aim between engines at equal precision: Dice at least 0.999. Lowest {verdict}. At "
            "bf16 each engine rounds at different points, so the masks differ.",
        ]
    )
