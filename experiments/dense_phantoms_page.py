"""The part of docs/measurements.md on dense disease, from dense-phantoms.json alone."""

from typing import Any

from lungscore.statistics.estimate import text_of


def section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end."""
    phantoms, models = content["phantoms"], content["models"]
    parts = [f"{100 * part:g}" for part in phantoms["parts"]]
    slices = phantoms["shape"][0]
    return "\n".join(
        [
            "## Dense disease on phantoms",
            "",
            f"Command: `{content['command']}`. {len(phantoms['seeds'])} phantoms per lobe "
            f"(seeds {phantoms['seeds'][0]} to {phantoms['seeds'][-1]}, {slices} slices), on which "
            f"no network was trained: {', '.join(parts[:-1])} or {parts[-1]} % of the lobe "
            "consolidated at the pleura, with a rim of ground glass. Lungs are found, not given. "
            "Shares of the true consolidation: inside the lungs, called infected, called "
            "consolidation. False: percent of the lobe's sound lung that is called infected, in "
            "the same people without disease and with a few patches.",
            "",
            "| model | lobe | in the lungs | called infected | called consolidation | "
            "false, healthy, % | false, few patches, % |",
            "|---|---|---|---|---|---|---|",
            *(row for version in models for row in _rows(version, models[version])),
            "",
            f"Aim: at least {content['aim']:.2f} called infected in every lobe. "
            f"{'; '.join(_verdict(version, models[version], content['aim']) for version in models)}"
            ".",
        ]
    )


def _rows(version: str, model: dict[str, Any]) -> list[str]:
    return [
        f"| {version} | {lobe} | {shares['in_lungs']['mean']:.2f} | "
        f"{text_of(shares['called_infected'], decimals=2)} | "
        f"{text_of(shares['called_consolidation'], decimals=2)} | "
        f"{model['false_percent']['healthy'][lobe]['mean']:.2f} | "
        f"{model['false_percent']['few-patches'][lobe]['mean']:.2f} |"
        for lobe, shares in model["dense"].items()
    ]


def _verdict(version: str, model: dict[str, Any], aim: float) -> str:
    lowest = min(shares["called_infected"]["mean"] for shares in model["dense"].values())
    verdict = "met" if lowest >= aim else "missed"
    return (
        f"{version}: lowest lobe {lowest:.2f}, lowest phantom "
        f"{model['least_called_infected']:.2f}, {verdict}"
    )
