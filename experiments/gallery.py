"""The pictures of docs/gallery.md, docs/review.md and README.md: what their commands write, or
serve, in a browser.

    python experiments/gallery.py FOLDER                  # cases there, pictures in docs/figures
    python experiments/gallery.py FOLDER --only dense     # one of them

Needs chromium, playwright and, for the scans of patients, LUNGSCORE_DATA. A case that is in FOLDER
already is not analysed again.
"""

import argparse
import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures" / "gallery"
MOST_BYTES = 200_000
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


class Example(NamedTuple):
    """One picture: the commands, in order, the page they write, and the height that is shown.

    served: the command that serves the result in ``page`` instead, at an address that it prints.
    """

    name: str
    commands: tuple[str, ...]
    page: str
    height: int = 820
    served: str | None = None


def _demo(preset: str, *, seed: int = 0) -> str:
    more = f" --seed {seed}" if seed else ""
    return f"lungscore demo --preset {preset}{more} -o cases"


#: $DATA stands for the folder of real scans.
EXAMPLES = (
    Example("healthy", (_demo("healthy"),), "cases/phantom-healthy-0/report.html"),
    Example("mild", (_demo("few-patches"),), "cases/phantom-few-patches-0/report.html"),
    Example("severe", (_demo("many-patches"),), "cases/phantom-many-patches-0/report.html"),
    Example("dense", (_demo("dense"),), "cases/phantom-dense-0/report.html"),
    Example(
        "follow-up",
        (
            "lungscore compare cases/phantom-few-patches-0 cases/phantom-many-patches-0 "
            "-o followup --case-id example",
        ),
        "followup/example/report.html",
    ),
    Example(
        "cohort",
        ("lungscore analyze scans -o cohort --workers 2",),
        "cohort/cohort.html",
        1100,
    ),
    Example(
        "pneumonia",
        ("lungscore analyze $DATA/ictcf-volume-jpg -o patients --case-id iCTCF",),
        "patients/iCTCF/report.html",
    ),
    Example(
        "review",
        ("lungscore analyze $DATA/ictcf-volume-jpg -o patients --case-id iCTCF",),
        "patients/iCTCF/report.html",
        900,
        served="lungscore review patients/iCTCF --scans $DATA/ictcf-volume-jpg --reader Reader "
        "--port 0 --no-browser",
    ),
    Example(
        "not-pneumonia",
        ("lungscore analyze $DATA/wild-ct/fnndsc.nii.gz -o patients --case-id LIDC-IDRI",),
        "patients/LIDC-IDRI/report.html",
    ),
)


def main() -> None:
    """Make the cases that are missing, then the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=[example.name for example in EXAMPLES])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    chosen = [e for e in EXAMPLES if arguments.only in (None, e.name)]
    made = [example for example in chosen if make(example, arguments.folder)]
    FIGURES.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for example in made:
            if example.served is None:
                address = (arguments.folder / example.page).resolve().as_uri()
                save(picture(chromium, address, example.height), example.name)
            else:
                with serving(example.served, arguments.folder) as address:
                    image = picture(chromium, address, example.height, first_case)
                save(image, example.name)


def make(example: Example, folder: Path) -> bool:
    """Run the commands of an example whose page is missing; whether the page is there."""
    missing = not (folder / example.page).is_file()
    needed = [*(example.commands if missing else ()), example.served or ""]
    if "LUNGSCORE_DATA" not in os.environ and any("$DATA" in command for command in needed):
        print(f"{example.name}: LUNGSCORE_DATA is not set")
        return False
    if not missing:
        return True
    if example.name == "cohort":
        scans = folder / "scans"
        scans.mkdir(exist_ok=True)
        for phantom in folder.glob("cases/*.nii.gz"):
            shutil.copy(phantom, scans)
    for command in example.commands:
        subprocess.run(words_of(command), cwd=folder, check=True)
    return True


def words_of(command: str) -> list[str]:
    """The words of a command, with the folder of real scans in place of $DATA."""
    data = os.environ.get("LUNGSCORE_DATA", "")
    words = shlex.split(command.replace("$DATA", data))[1:]
    return [sys.executable, "-m", "lungscore", "-q", *words]


@contextmanager
def serving(command: str, folder: Path) -> Iterator[str]:
    """The address at which ``command`` serves pages, until the block ends."""
    with subprocess.Popen(words_of(command), cwd=folder, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        try:
            yield run.stdout.readline().strip()
        finally:
            run.terminate()


def first_case(tab: Any) -> None:
    """Open the first case of the review."""
    tab.click("#cases a")
    tab.wait_for_selector("body[data-ready]")
    tab.wait_for_selector("#numbers[aria-busy=false]", state="attached")


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        sys.exit("no browser is here: install chromium")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # the sandbox refuses to run as root
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


def picture(
    chromium: Any, address: str, height: int, prepare: Callable[[Any], None] | None = None
) -> Image.Image:
    """The first screen of a page on a laptop. prepare: what is done there before."""
    tab = chromium.new_page(viewport={"width": 1280, "height": height}, device_scale_factor=1.25)
    tab.set_default_timeout(300_000)  # the computer may be busy
    tab.goto(address)
    if prepare is not None:
        prepare(tab)
    tab.wait_for_timeout(800)
    content = tab.screenshot()
    tab.close()
    return Image.open(io.BytesIO(content)).convert("RGB")


def save(image: Image.Image, name: str) -> None:
    """As a small JPEG, with all its colours: the best quality with which it is small enough."""
    path = FIGURES / f"{name}.jpg"
    for quality in range(75, 45, -5):
        image.save(path, quality=quality, subsampling=0, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path.relative_to(ROOT)}: {image.size}, {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
