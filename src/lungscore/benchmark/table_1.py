"""The paper's Table I in its own layout, and what the paper says of it, answered."""

from collections.abc import Iterable

from lungscore.benchmark.comparisons import Results
from lungscore.benchmark.results import common
from lungscore.benchmark.rows import Benchmark, Claim, PublishedLosses
from lungscore.benchmark.tables import number, table
from lungscore.statistics.crossed import Crossed, crossed_ratio
from lungscore.statistics.estimate import number_text

_ABOUT = (
    "The paper's measure, its *test loss*: for the single network the loss of the final map "
    "(weighted cross-entropy and IoU loss), for the multi network the cross-entropy over "
    "background, ground-glass opacity and consolidation. The published values are shown "
    "for reference; their scale, data and training differ and changed between drafts, so only "
    "rows of one column can be compared with each other. The paper left its last two rows "
    "empty. A control has the same augmentation and no pre-training. What *cutout c* means "
    "differs between the published code and the paper's words: one table for each."
)

#: Part of a result's sections, and the losses in it, of the single and of the multi network.
_FINDINGS = {"single": "infection", "multi": "classes"}


def table_1_blocks(benchmark: Benchmark, results: Results) -> list[str]:
    """Both tables, and the paper's claims about augmentation with their measured answers."""
    if not benchmark.table_1:
        return []
    blocks = ["## Table I of the paper", _ABOUT]
    for meaning, lines in benchmark.table_1.items():
        blocks += [f"**{meaning}.**", _table(lines, results)]
    if benchmark.claims:
        answers = [answer(claim, results) for claim in benchmark.claims]
        blocks += ["### What the paper says of it", "\n\n".join(answers)]
    return blocks


def _table(lines: tuple[PublishedLosses, ...], results: Results) -> str:
    rows = []
    for line in lines:
        cells = [line.label]
        for index, (network, finding) in enumerate(_FINDINGS.items()):
            names = getattr(line, network), getattr(line, f"{network}_control")
            for part in ("held_out", "test"):
                cells += [_loss(results, name, part, finding) for name in names]
            cells.append("–" if line.published is None else f"{line.published[index]:.2f}")
        rows.append(cells)
    kinds = ("out of fold", "its control", "test slices", "its control", "published")
    head = ["", *(f"{network}: {kind}" for network in _FINDINGS for kind in kinds)]
    return table(head, rows)


def _loss(results: Results, name: str | None, part: str, finding: str) -> str:
    if name is None:
        return "–"
    result = results.get(name)
    if result is None or not result[part]:
        return "not run"
    return number(result[part][finding]["figures"]["test_loss"]["mean"])


def answer(claim: Claim, results: Results) -> str:
    """A claim as a question, with the answer that out-of-fold losses give, in words."""
    changes = {row: _change(results, row, claim.against) for row in claim.rows}
    there = {row: change for row, change in changes.items() if change is not None}
    missing = [row for row in claim.rows if row not in there]
    printed, base = claim.published
    own = f"In the paper's own table the loss changes by {_list(p / base - 1 for p in printed)}."
    if not there:
        return f"**{claim.text} Not answered yet.** No row was run. {own}"
    said = "; ".join(
        f"`{row}` {_percent(c.mean - 1)} [{_percent(c.low - 1)}, {_percent(c.high - 1)}]"
        for row, c in there.items()
    )
    word = _word(list(there.values()), claim.less_by) + (", so far" if missing else "")
    text = (
        f"**{claim.text} {word}.** Change of the test loss out of fold against "
        f"`{claim.against}`, 95 % interval: {said}. "
    )
    if missing:
        text += f"Not run: {', '.join(f'`{row}`' for row in missing)}. "
    return text + own


def _word(changes: list[Crossed], less_by: float) -> str:
    """Yes where all intervals lie beyond the claim, no where all lie on the other side of it."""
    shown = [change.high < 1 - less_by for change in changes]
    refuted = [change.low > 1 - less_by for change in changes]
    if all(shown):
        return "Yes"
    if all(refuted):
        return "No"
    if any(shown):
        return f"In {sum(shown)} of {len(changes)} rows that were run"
    return f"Not shown in any row that was run, refuted in {sum(refuted)} of {len(changes)}"


def _change(results: Results, row: str, against: str) -> Crossed | None:
    """A row's mean loss as a share of that of another, over the slices and seeds of both."""
    first, second = results.get(row), results.get(against)
    if first is None or second is None or not (first["held_out"] and second["held_out"]):
        return None
    seeds = sorted(set(first["seeds"]) & set(second["seeds"]))
    if not seeds:
        return None
    finding = _FINDINGS["single" if first["target"] == "infection" else "multi"]
    networks = [f"seed{seed}" for seed in seeds]
    sections = first["held_out"][finding], second["held_out"][finding]
    return crossed_ratio(*common(*sections, "test_loss", networks))


def _list(shares: Iterable[float]) -> str:
    return ", ".join(_percent(share) for share in shares)


def _percent(share: float) -> str:
    """−43.6 %"""
    return f"{number_text(100 * share, 1, signed=True)} %"
