"""Wheel and sdist, built, installed and tried on every Python that is here.

    python experiments/package.py dist

Each Python from 3.11 on (of uv's list, or on PATH) gets an environment outside the repository, the
wheel or the sdist, and a small phantom to analyse. Prints one line each; exits 1 if one failed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: What an installed lungscore must do: load, know its models, analyse a phantom.
TRIAL = """
import lungscore
from lungscore.inference import list_bundles
from lungscore.scan.phantom import make_phantom
assert "site-packages" in lungscore.__file__, lungscore.__file__
assert {"infection", "lungs"} <= set(list_bundles()), list_bundles()
scan = make_phantom("several-patches", shape=(16, 96, 96), spacing_mm=(17.5, 3.75, 3.75)).scan
print(lungscore.analyze(scan, ranges=False))
"""


def main() -> int:
    """Build, then try every package on every Python."""
    out = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "dist")
    shutil.rmtree(out, ignore_errors=True)
    # Beside this environment's build: the build backend is fetched into one of its own.
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], check=True)
    failures = 0
    for python, version in pythons():
        for package in sorted(out.iterdir()):
            done = trial(python, package)
            failures += done.returncode != 0
            said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
            print(f"{version}  {package.name}: {said[-1] if said else 'nothing said'}", flush=True)
    return 1 if failures else 0


def pythons() -> list[tuple[str, str]]:
    """Path and version of each Python here that pyproject.toml allows, one a minor version."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    uv = shutil.which("uv", path=places)
    command = [uv, "python", "list", "--only-installed", "--output-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False) if uv else None
    listed = json.loads(done.stdout) if done is not None and done.returncode == 0 else []
    by_minor = {
        (version["major"], version["minor"]): (entry["path"], entry["version"])
        for entry in reversed(listed)
        for version in [entry["version_parts"]]
        if entry["implementation"] == "cpython" and (version["major"], version["minor"]) >= (3, 11)
    }
    own = (sys.executable, ".".join(map(str, sys.version_info[:3])))
    return [by_minor[key] for key in sorted(by_minor)] or [own]


def trial(python: str, package: Path) -> subprocess.CompletedProcess[str]:
    """Install ``package`` into a new environment and run TRIAL there."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        own = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--constraint", str(ROOT / "constraints.txt"), str(package)]
        done = subprocess.run([own, *install], capture_output=True, text=True, check=False)
        if done.returncode:
            return done
        # Isolated: a PYTHONPATH would put another lungscore before the installed one.
        return subprocess.run(
            [own, "-I", "-c", TRIAL], cwd=folder, capture_output=True, text=True, check=False
        )


if __name__ == "__main__":
    sys.exit(main())
