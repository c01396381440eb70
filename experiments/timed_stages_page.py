"""The part of docs/measurements.md on trainings of fixed time, from timed-stages.json alone."""

from typing import Any

from lungscore.learning.timed.training import AVERAGE
from lungscore.statistics.estimate import Estimate, text_of

#: Arms in the order of the table, and what they are.
ARMS = {
    "today": "recipe of infection 0.2, ResNet-18",
    "teacher": "teacher, EfficientNet-Lite0",
    "teacher-resnet": "teacher, ResNet-18",
    "alone": "student's seed, annotated slices alone",
    "student": "student of both teachers",
    "iterated": "student of both teachers and the student",
}
NAMES = {"ggo": "GGO", "consolidation": "consolidation"}


def section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end."""
    arms, trained = content["arms"], content["trained"]
    leakless, leaky = arms["today/views"], arms["today, with the leak/views"]
    (leak,) = (step for step in content["steps"] if step["without"].startswith("today, with"))
    heads = ", ".join(
        f"{NAMES[name]} {_signed(values)}"
        for name, values in arms["iterated/single"]["network_minus_density"].items()
    )
    final = next(s for s in content["steps"] if "both in six views" in s["added"])
    return "\n".join(
        [
            "## Trainings of fixed time, too short to tell",
            "",
            f"Command: `{content['command']}`, n = {content['n']} annotated slices, each by "
            "networks of its fold, one training per arm and fold; every label a network learned "
            "from was made by networks that never saw the fold. All "
            f"{sum(arm['networks'] for arm in trained.values())} trainings shared one GPU. "
            "Intervals are over slices, not over trainings.",
            "",
            "**The baseline without the leak.** The recipe of infection 0.2, with pseudo-labels "
            "that come from a network of the same fold (and of every second unlabelled slice): "
            f"Dice {text_of(leakless['dice'], 'mean')}, where it was "
            f"{text_of(leaky['dice'], 'mean')} with released pseudo-labels; paired "
            f"{_signed(leak['dice'])}. No leak is visible. The two trainings differ in their "
            "number of unlabelled slices and their precision as well, so a leak of 0.01 cannot be "
            "ruled out. Without it: toolbox "
            f"{text_of(leakless['toolbox_dice'], 'mean')}, GGO by density "
            f"{text_of(leakless['ggo_by_density'], 'mean')}, consolidation by density "
            f"{text_of(leakless['consolidation_by_density'], 'mean')}, area r "
            f"{leakless['area_r']:.3f}, all in six views.",
            "",
            "| network, one view | steps | slices seen | loss half-way, at the end | Dice at 0.5 | "
            "toolbox mean Dice | GGO: network, density | consolidation: network, density |",
            "|---|---|---|---|---|---|---|---|",
            *(
                _row(name, arms[f"{name}/single"], trained[name])
                for name in ARMS
                if name in trained
            ),
            "",
            "| what a step added, paired | Dice at 0.5 | toolbox | GGO | consolidation |",
            "|---|---|---|---|---|",
            *(
                f"| {s['added']} ({_arm(s['with'])} − {_arm(s['without'])}) | "
                + " | ".join(
                    _signed(s[key]) if key in s else "–"
                    for key in (
                        "dice",
                        "toolbox_dice",
                        "ggo_by_network",
                        "consolidation_by_network",
                    )
                )
                + " |"
                for s in content["steps"]
            ),
            "",
            "The classes are separated by the network's second answer, in that of 0.2 by density.",
            "",
            "**None of these networks ships.** The learning rate fell to its end as planned, but "
            "the loss was still falling while it did: under strong augmentation these were too few "
            f"steps. The last network had {_range(trained['iterated']['steps'])} steps of "
            f"{trained['iterated']['batch']} slices, the recipe of 0.2 "
            f"{_range(trained['today']['steps'])} of {trained['today']['batch']} (and its labeller "
            f"{trained['today']['steps_of_the_labeller']}). Its Dice less that of that "
            f"recipe, six views each: {_signed(final['dice'])}. Besides, the average of the "
            "weights began with those before training and, by its rule, still held "
            f"{_share(trained['teacher'])} of them in teachers, {_share(trained['student'])} in "
            f"students and {_share(trained['iterated'])} in the last networks. That is mended (the "
            "average now spans the last tenth of the steps); the figures above are from before.",
            "",
            "**GGO or consolidation**: the second answer against density, one view, paired: "
            f"{heads}. It would ship with both intervals above 0. The density rule stays.",
            "",
            "**What this cannot say.** Whether the recipe, trained to its end, is better than "
            "that of 0.2. What self-training adds: the last step had twice the steps of the one "
            "before it, and teachers of both encoders differ in steps and seed. What dense disease "
            "adds: no network trained without it. How seeds differ: there is one. Nothing was "
            "measured on test slices, the healthy person or volumes. A longer run of fewer arms "
            "has to tell: at least 60,000 slices per network ([training.md](training.md)).",
        ]
    )


def _row(name: str, figures: dict[str, Any], trained: dict[str, Any]) -> str:
    loss = trained.get("loss")
    cells = [
        f"{ARMS[name]} (`{name}`)",
        _range(trained["steps"]),
        _range(trained["slices"]),
        f"{loss['half_way']:.2f}, {loss['at_the_end']:.2f}" if loss else "–",
        text_of(figures["dice"], "mean"),
        text_of(figures["toolbox_dice"], "mean"),
        *(
            ", ".join(
                f"{figures[f'{key}_by_{kind}']['mean']:.3f}"
                if f"{key}_by_{kind}" in figures
                else "–"
                for kind in ("network", "density")
            )
            for key in ("ggo", "consolidation")
        ),
    ]
    return "| " + " | ".join(cells) + " |"


def _arm(name: str) -> str:
    arm, _, views = name.rpartition("/")
    return f"{arm}, six views" if views == "views" else arm


def _signed(figures: dict[str, Any]) -> str:
    return Estimate.read(figures, "mean").text(signed=True)


def _range(ends: list[int]) -> str:
    low, high = (f"{end:,}" for end in ends)
    return low if low == high else f"{low}–{high}"


def _share(trained: dict[str, Any]) -> str:
    """How much of an average was first weights when it kept AVERAGE of itself from the start."""
    return f"{100 * AVERAGE ** trained['steps'][0]:.1f} %"
