"""Do the tests notice when the code is changed? One small change at a time, each with its tests.

    python experiments/mutants/run.py                     all modules of mutants.yaml
    python experiments/mutants/run.py severity/scores     those whose path holds a text
    python experiments/mutants/run.py --quick             without tests that take long
    python experiments/mutants/run.py --again             only what survived the last time

The tests of a module are collected once; every change is made in a process forked from there, and
no file is written. A change is killed by a test that fails, by an error or by taking more than
CPU_SECONDS. Results go to experiments/results/mutants.json, and docs/mutants.md is written from
them (page.py). mutmut would change neither properties nor what a module computes when it is
imported, which here is most tables of edges and limits; cosmic-ray starts Python anew for every
change, which takes hours.
"""

import argparse
import ast
import json
import os
import resource
import signal
import subprocess
import sys
import time
from types import ModuleType
from typing import Any

import pytest
import yaml
from changes import Change, changes_of
from page import PLAN, RESULTS, ROOT, shortcomings, write_page

SOURCES = ROOT / "src/lungscore"

#: Processor time of one changed run; the tests of a module take a few seconds unchanged.
CPU_SECONDS = 60
#: Memory that a changed run may take: a changed size must not bring the machine down.
MEMORY_BYTES = 6 * 2**30

#: A quick run takes only tests below this processor time; what survives it is to be run again.
QUICK_SECONDS = 0.1

PYTEST = ("-o", "addopts=", "-m", "not slow", "--noconftest")
PYTEST += ("--hypothesis-profile", "mutants")
PYTEST += tuple(f"-pno:{name}" for name in ("cacheprovider", "xdist", "faulthandler", "terminal"))


def main() -> None:
    """Run the changes that are asked for, and write results and page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help="texts of which a module's path holds one")
    parser.add_argument("--again", action="store_true", help="only what survived the last time")
    parser.add_argument("--quick", action="store_true", help="with the quick tests alone")
    arguments = parser.parse_args()
    commit = _commit()
    plan = yaml.safe_load(PLAN.read_text(encoding="utf-8"))["modules"]
    for name, tests in plan.items():
        if arguments.modules and not any(text in name for text in arguments.modules):
            continue
        results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        again = results.get(name, {}).get("survivors") if arguments.again else None
        # A process each: modules and tests are imported unchanged and anew.
        if (result := _in_a_process(lambda: _tested(name, tests, again, arguments.quick))) is None:  # noqa: B023
            sys.exit(f"{name}: its tests fail without any change")
        # Another run, of other modules, may have written meanwhile.
        results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        flags = [flag for flag in ("again", "quick") if getattr(arguments, flag)]
        results[name] = {"commit": commit, "flags": flags, **result}
        ordered = {module: results[module] for module in plan if module in results}
        RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")
    write_page()
    if faults := shortcomings():
        sys.exit("\n".join(faults))


def _commit() -> str:
    """The commit whose code is changed."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def _in_a_process(function: Any) -> Any:
    """What ``function`` returns, called in a forked process; None where that fails."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as pipe:
                json.dump(function(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(process, 0)
    return json.loads(text) if status == 0 else None


def _tested(
    name: str, tests: list[str], again: list[dict[str, Any]] | None, quick: bool
) -> dict[str, Any] | None:
    os.chdir(ROOT)
    sys.path.insert(0, str(SOURCES.parent))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("LUNGSCORE_DATA", None)
    _register_profile()
    run = Run(name, again, QUICK_SECONDS if quick else float("inf"))
    pytest.main([*PYTEST, *("tests/" + test for test in tests)], plugins=[run])
    return run.result


def _register_profile() -> None:
    """Hypothesis as a mutation run wants it: the same examples every time, and no shrinking."""
    import hypothesis

    hypothesis.settings.register_profile(
        "mutants",
        max_examples=25,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )


class Run:
    """Runs the collected tests once for every change, instead of once."""

    def __init__(self, name: str, again: list[dict[str, Any]] | None, longest: float) -> None:
        self.name, self.again, self.longest = name, again, longest
        self.path = SOURCES / name
        self.module = "lungscore." + name.removesuffix(".py").replace("/", ".")
        self.tree = ast.parse(self.path.read_text(encoding="utf-8"))
        self.failed = False
        self.result: dict[str, Any] | None = None

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a test that fails."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: Any) -> bool:
        """The run."""
        items = list(session.items)
        seconds = _in_a_process(lambda: self._timed(items))
        if not seconds or self.module not in sys.modules:
            return True
        timed = sorted(zip(seconds, items, strict=True), key=lambda pair: pair[0])
        items = [item for taken, item in timed if taken <= self.longest]
        changes = changes_of(self.tree)
        chosen = changes
        if self.again is not None:
            left = {(item["function"], item["before"], item["after"]) for item in self.again}
            chosen = [c for c in changes if (c.function, c.before, c.after) in left]
        survivors: list[Change] = []
        started = time.monotonic()
        for number, change in enumerate(chosen, start=1):
            killer = _in_a_process(lambda: self._killer(items, change))  # noqa: B023
            if killer == -1:
                survivors.append(change)
                self._say(f"SURVIVED {change.line} {change.before}  ->  {change.after}")
            elif killer is not None:
                items.insert(0, items.pop(killer))  # likely kills the next one, too
            if number % 25 == 0:
                self._say(f"{number} of {len(chosen)} in {time.monotonic() - started:.0f} s")
        self._say(f"{len(changes)} changes, {len(survivors)} survived")
        shown = ("line", "function", "before", "after")
        self.result = {
            "changes": len(changes),
            "survivors": [{key: getattr(c, key) for key in shown} for c in survivors],
        }
        return True

    def _say(self, text: str) -> None:
        os.write(2, f"{self.name}: {text}\n".encode())

    def _timed(self, items: list[Any]) -> list[float]:
        """Seconds that each test takes with the module made anew, but unchanged."""
        _remake(sys.modules[self.module], self.tree)
        seconds = []
        for item in items:
            started = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            seconds.append(time.process_time() - started)
            if self.failed:
                self._say(f"{item.nodeid} fails without any change")
                return []
        return seconds

    def _killer(self, items: list[Any], change: Change) -> int:
        """Number of the first test that fails with the change; -1 where none does."""
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        signal.alarm(20 * CPU_SECONDS)  # a change that waits for ever
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        change.apply()
        _remake(sys.modules[self.module], self.tree)
        for number, item in enumerate(items):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.failed:
                return number
        return -1


def _remake(module: ModuleType, tree: ast.Module) -> None:
    """Execute ``tree`` as the module, and let all that imported its names have the new ones."""
    old = dict(vars(module))
    exec(compile(tree, module.__file__ or "", "exec"), vars(module))  # noqa: S102
    new = {name: value for name, value in vars(module).items() if value is not old.get(name)}
    for imported in list(sys.modules.values()):
        names = getattr(imported, "__dict__", None)
        if imported is module or not isinstance(names, dict):
            continue
        for name, value in new.items():
            if name in old and not name.startswith("__") and names.get(name) is old[name]:
                names[name] = value


if __name__ == "__main__":
    main()
