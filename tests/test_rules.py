"""The rules that docs/architecture.md and CONTRIBUTING state, kept over the whole repository."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import lungscore
from lungscore.errors import NOTICES, REJECTIONS
from lungscore.result.numbers import NUMBERS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lungscore"
EVERYBODYS = {
    *("background", "errors", "files", "guard", "interruption", "labels", "machine", "temporary"),
    "version",
    "yaml_file",
}
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((SOURCE / module).read_text(encoding="utf-8"))


def package_of(module: str) -> str:
    return module.split("/")[0].removesuffix(".py")


def imports(module: str) -> Iterator[str]:
    """The full names a module imports, inside functions and for type checkers too."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            if isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def own_packages(module: str) -> set[str]:
    """The packages of lungscore, other than its own, that a module imports."""
    packages = {name.split(".")[1] for name in imports(module) if name.startswith("lungscore.")}
    return packages - {package_of(module)}


def allowed() -> dict[str, set[str]]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z]+) \| ([a-z, –]+) \|$", text, re.M)
    packages = {package for package, _ in rows} - {"package"}
    return {
        package: packages if names == "everything" else set(re.findall(r"[a-z]+", names))
        for package, names in rows
        if package != "package"
    }


# Who imports whom


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_the_architecture_allows(module: str) -> None:
    package = package_of(module)
    if package == "__init__":  # the public names, loaded on first use
        assert "cli" not in own_packages(module)
    elif package == "__main__":
        assert own_packages(module) == {"cli"}
    elif package in EVERYBODYS:
        assert not own_packages(module) - EVERYBODYS
    else:
        assert own_packages(module) <= allowed()[package] | EVERYBODYS


def test_the_table_of_imports_names_every_package_and_has_no_circle() -> None:
    table = allowed()
    assert set(table) == {package_of(m) for m in MODULES} - EVERYBODYS - {"__init__", "__main__"}
    assert not any("cli" in names for package, names in table.items() if package != "cli")
    for package in set(table) - {"cli"}:
        modules = [module for module in MODULES if package_of(module) == package]
        needed = {name for module in modules for name in own_packages(module)}
        assert table[package] == needed - EVERYBODYS, package
    left = dict(table)
    while left:
        free = [package for package, names in left.items() if not (names - {package}) & set(left)]
        assert free, f"these import each other: {sorted(left)}"
        for package in free:
            del left[package]


def dotted(module: str) -> str:
    """lungscore.a.b of a/b.py, lungscore.a of a/__init__.py."""
    return "lungscore." + module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_no_modules_import_each_other_directly_or_in_a_circle() -> None:
    known = {dotted(module) for module in MODULES}
    left = {}
    for module in MODULES:
        own = dotted(module)
        named = {name if name in known else name.rpartition(".")[0] for name in imports(module)}
        left[own] = (named & known) - {own}
    while left:
        free = {module for module, names in left.items() if not names & set(left)}
        assert free, f"among these is a circle: {sorted(left)}"
        left = {module: names for module, names in left.items() if module not in free}


def libraries(package: str) -> set[str]:
    """The libraries that a package imports."""
    names = {n.split(".")[0] for m in MODULES if package_of(m) == package for n in imports(m)}
    return names - set(sys.stdlib_module_names) - {"lungscore"}


def test_severity_needs_numpy_only_and_networks_torch_only() -> None:
    assert libraries("severity") == {"numpy"}
    assert libraries("networks") == {"torch"}


def test_highdicom_serves_the_objects_for_a_pacs_only() -> None:
    users = {package_of(m) for m in MODULES if any(n.startswith("highdicom") for n in imports(m))}
    assert users == {"pacs"}


def test_networks_serve_inference_in_the_torch_engine_only() -> None:
    users = [m for m in MODULES if package_of(m) == "inference" and "networks" in own_packages(m)]
    assert users == ["inference/engines.py"]


def test_torch_is_imported_at_the_top_of_training_modules_only() -> None:
    for module in MODULES:
        if package_of(module) in ("networks", "learning"):
            continue
        top = [
            node for node in tree_of(module).body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert "torch" not in " ".join(ast.unparse(node) for node in top), module


# What a start loads


def loaded_by(code: str) -> set[str]:
    text = f"import sys\n{code}\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


HEAVY = {"numpy", "scipy", "torch", "matplotlib", "openvino", "onnxruntime", "nibabel", "pydicom"}
HEAVY |= {"pandas", "sklearn", "statsmodels", "pyarrow", "ray", "highdicom"}


def test_importing_lungscore_loads_no_heavy_library() -> None:
    assert not loaded_by("import lungscore") & (HEAVY | {"pydantic", "typer"})


def test_help_loads_no_heavy_library() -> None:
    code = "from lungscore.cli.main import call; call(['--help']); call(['analyze', '--help'])"
    assert not loaded_by(code) & (HEAVY | {"jinja2", "PIL"})


def test_public_names_load_neither_torch_nor_matplotlib() -> None:
    code = "import lungscore\nfor name in lungscore.__all__: getattr(lungscore, name)"
    assert not loaded_by(code) & {"torch", "matplotlib", "openvino", "onnxruntime"}


def test_every_public_name_is_there() -> None:
    for name in lungscore.__all__:
        assert getattr(lungscore, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lungscore.nothing


# What the source never holds

FORBIDDEN = {
    "pickle": r"\b(c?pickle|dill|joblib|shelve|marshal)\.\w",
    "code from text": r"(?<![\w.])(eval|exec|compile|__import__)\(",
    "a shell": r"shell\s*=\s*True|os\.system\(|os\.popen\(",
    "unsafe YAML": r"yaml\.(load|unsafe_load|full_load)(_all)?\(",
    "unsafe weights": r"torch\.(load|hub|save)\b|weights_only\s*=\s*False",
    "pickled arrays": r"allow_pickle\s*=\s*True",
    "the network": r"\b(urlopen|urlretrieve|requests\.(get|post)|httpx|http\.client|socket\.)",
    "booleans from text": r"(?<!d)type\s*=\s*bool\b",
    "unfinished work": r"\b(TODO|FIXME|XXX)\b",
}


@pytest.mark.parametrize("practice", FORBIDDEN)
def test_the_source_never_holds(practice: str) -> None:
    pattern = re.compile(FORBIDDEN[practice])
    lines = [
        f"{module}:{number}: {line.strip()}"
        for module in MODULES
        for number, line in enumerate((SOURCE / module).read_text("utf-8").splitlines(), start=1)
        if pattern.search(line.split("#")[0])
    ]
    assert not lines


def test_no_module_that_can_unpickle_is_imported() -> None:
    unsafe = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
    for module in MODULES:
        assert not unsafe & {name.split(".")[0] for name in imports(module)}, module


def test_library_code_never_prints_or_asserts() -> None:
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            assert not isinstance(node, ast.Assert), f"{module}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{module}:{node.lineno}"


def test_no_failure_is_swallowed_whole() -> None:
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), module


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_longer_than_400_lines(module: str) -> None:
    assert len((SOURCE / module).read_text("utf-8").splitlines()) <= 400


# Numbers of a result


def words_of(module: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string but docstrings, and of every chain of keys, as a.b.c."""
    tree = tree_of(module)
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, described) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield node.lineno, node.value
        elif isinstance(node, ast.Attribute | ast.Subscript):
            yield node.lineno, re.sub(r"\[\W*([\w ]+)\W*\]", r".\1", ast.unparse(node))


def names_a_number(text: str) -> bool:
    """Whether ``text`` is the path of a number of a result, or ends with it, or is its title."""
    titles = {n.title for n in NUMBERS.values() if " " in n.title or not n.title.islower()}
    return text in titles or any(
        text == number.path or text.endswith(f".{number.path}") for number in NUMBERS.values()
    )


def test_one_module_alone_says_where_numbers_stand_and_what_they_are_called() -> None:
    elsewhere = [
        f"{module}:{line}: {text}"
        for module in MODULES
        if "result" in allowed().get(package_of(module), ())
        for line, text in words_of(module)
        if names_a_number(text)
    ]
    assert not elsewhere


def test_no_template_says_where_numbers_stand_or_what_they_are_called() -> None:
    for template in SOURCE.rglob("*.j2"):
        text = re.sub(r"<style>.*?</style>", "", template.read_text("utf-8"), flags=re.S)
        for words in re.findall(r"[\w.]+", text):
            assert "." not in words or not names_a_number(words), f"{template.name}: {words}"
        for words in re.findall(r">([^<>{}]+)<", text):
            assert not names_a_number(words.strip()), f"{template.name}: {words}"


@pytest.mark.parametrize(
    "code",
    [
        'x = content["burden"]["infection_percent"]',
        "x = result.burden.infection_percent",
        'x = changes["burden.infection_percent"]',
        'rows = [("CT-SS", 3)]',
        'rows = [("right lung opacity", 3)]',
    ],
)
def test_a_second_list_of_numbers_would_be_found(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.tree_of", lambda module: ast.parse(code))
    assert any(names_a_number(text) for _, text in words_of("made_up.py"))


# Codes


def texts_in_source() -> set[str]:
    """Every string that stands in the source outside the table of codes."""
    return {
        node.value
        for module in MODULES
        if module != "errors.py"
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_code_is_used() -> None:
    assert {*REJECTIONS, *NOTICES} <= texts_in_source()


def test_every_code_that_is_raised_exists() -> None:
    kinds = {"InputError", "ResourceError", "UsageError", "LungscoreError", "Notice"}
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) in kinds and node.args):
                continue
            code = node.args[0]
            if isinstance(code, ast.Constant):
                known = NOTICES if ast.unparse(node.func) == "Notice" else REJECTIONS
                assert code.value in known, f"{module}:{node.lineno}"


# A public project


@cache
def tracked_texts() -> list[tuple[str, str]]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout: the files of the project are not known")
    done = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = []
    for name in done.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 2**20:
            content = path.read_bytes()
            if b"\0" not in content:
                texts.append((name, content.decode("utf-8", "replace")))
    return texts


def test_no_file_names_a_path_of_one_computer() -> None:
    roots = "|".join(("work", "opt", "home", "root", "mnt", "Users"))
    pattern = re.compile(rf"(?<![\w.~*\"'>}}/])/(?:{roots})/\w|[A-Z]:\\Users\\")
    lines = [
        f"{name}:{number}"
        for name, text in tracked_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not lines


def test_the_research_use_sentence_is_where_it_must_be() -> None:
    for name in ("README.md", "src/lungscore/version.py"):
        text = (ROOT / name).read_text(encoding="utf-8").lower()
        assert "research use only" in text
        assert "not a medical device" in text
