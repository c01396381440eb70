"""The walk of docs/training.md on phantoms: every command, and what it prints.

    python experiments/own_labels_walk.py run FOLDER    # or go on after an interruption
    python experiments/own_labels_walk.py docs          # the page, from the result file

"run" makes 24 ill and 6 healthy phantoms in FOLDER and runs the commands of the page there, with
the experiment and the card of experiments/, but small slices, so that it takes minutes; it writes
results/own-labels-walk.json.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from generated_blocks import write_block
from lungscore.files import atomic_write
from phantom_labels import write_phantoms

HERE = Path(__file__).parent
RESULT = HERE / "results" / "own-labels-walk.json"
PAGE = HERE.parent / "docs" / "training.md"

ILL, HEALTHY = 24, 6

#: What the experiment has besides, here.
SMALL = "input: {height: 128, width: 160}\n"

MANIFEST = "data/manifests/my-data.csv"

#: Step of the page -> its command, as a user types it in the folder of the walk.
STEPS = {
    "prepare": f"lungscore data prepare my-data images-and-masks -o {MANIFEST} --overwrite",
    "check": f"lungscore data check my-data {MANIFEST}",
    "train": "lungscore train my-data.yaml --folds 3 --resume",
    "evaluate": "lungscore evaluate folds runs/my-data -o my-data.json",
    "export": "lungscore models export runs/my-data/all-seed0 -o my-model --facts "
    "my-data.card.yaml --results my-data.json",
    "analyze": "lungscore analyze images-and-masks/images/phantom-002.png -o analysed "
    "--model my-model --overwrite",
}

#: What the page leaves out of a command: it is there so that the script may be run again.
_AGAIN = re.compile(r" --(overwrite|resume)\b")


def run(folder: Path) -> None:
    """Run every step in ``folder`` and keep what it prints."""
    images = folder / "images-and-masks"
    if not (images / "cases.csv").is_file():
        write_phantoms(images, patients=ILL, healthy=HEALTHY)
    for file in ("my-data.yaml", "my-data.card.yaml"):
        shutil.copyfile(HERE / file, folder / file)
    with open(folder / "my-data.yaml", "a", encoding="utf-8") as experiment:
        experiment.write(SMALL)
    environment = {**os.environ, "LUNGSCORE_DATA": str(folder / "data")}
    steps: dict[str, Any] = json.loads(RESULT.read_text())["steps"] if RESULT.is_file() else {}
    steps = steps if (folder / "steps").is_file() else {}
    for name, command in STEPS.items():
        if name in steps:
            continue
        words = [sys.executable, "-m", "lungscore", *command.split()[1:]]
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{command}\n{done.stdout}")
        steps[name] = {"command": _AGAIN.sub("", command), "printed": done.stdout.strip("\n")}
        result = {
            "command": "python experiments/own_labels_walk.py run FOLDER",
            "patients": {"ill": ILL, "healthy": HEALTHY},
            "steps": {step: steps[step] for step in STEPS if step in steps},
        }
        atomic_write(RESULT, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        (folder / "steps").write_text("\n".join(steps))
        print(command, flush=True)


def text_of(step: dict[str, str]) -> str:
    """A step as the page shows it."""
    lines = [f"$ {step['command']}", *step["printed"].splitlines()]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def docs() -> None:
    """Write every step into the page."""
    for name, step in json.loads(RESULT.read_text(encoding="utf-8"))["steps"].items():
        write_block(PAGE, name, text_of(step))


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("folder", type=Path)
    commands.add_parser("docs")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.folder.resolve())
    else:
        docs()


if __name__ == "__main__":
    main()
