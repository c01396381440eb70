"""Pages of the site that are made of the code, so that they cannot be wrong.

They are written into docs/generated/ before Sphinx reads its sources: the command line of the Typer
application, label values and codes of the tables that write them, the keys of an experiment file of
its models, and the pages at the root of the repository, with their links turned.
"""

import enum
import re
from pathlib import Path
from typing import Any, get_args

import typer

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent

#: Pages at the root of the repository that the site shows, by the name they have there.
ROOT_PAGES = {
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "MODEL_CARD.md": "model-card",
    "SECURITY.md": "security",
}


def setup(app: Any) -> dict[str, bool]:
    """Write the pages when the build starts."""
    app.connect("builder-inited", lambda _: write_pages(DOCS / "generated"))
    app.connect("source-read", _turn_links)
    return {"parallel_read_safe": True}


def write_pages(folder: Path) -> None:
    """Write every page; one that is as it was keeps its time, so that it is not read again."""
    folder.mkdir(exist_ok=True)
    pages = {
        "cli": command_line_page(),
        "labels": labels_page(),
        "experiment-file": experiment_page(),
        **{name: root_page(file) for file, name in ROOT_PAGES.items() if (ROOT / file).is_file()},
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _turn_links(app: Any, page: str, source: list[str]) -> None:
    """Links to Markdown outside docs/: to its copy on the site, or as a file to download."""
    folder = (DOCS / page).parent

    def turned(link: re.Match[str]) -> str:
        text, target, anchor = link[1], (folder / link[2]).resolve(), link[3] or ""
        if target.is_relative_to(DOCS) or not target.is_file():
            return link[0]
        if target.parent == ROOT and target.name in ROOT_PAGES:
            up = "../" * page.count("/")
            return f"[{text}]({up}generated/{ROOT_PAGES[target.name]}.md{anchor})"
        return f"{{download}}`{text} <{link[2]}>`"

    source[0] = re.sub(r"\[([^\]]*)\]\((\.\./[\w./-]+\.md)(#[\w-]+)?\)", turned, source[0])


# The command line


def command_line_page() -> str:
    """Every command with its arguments and options, in the order of ``lungscore --help``."""
    from lungscore.cli.commands import app

    parts = [
        "# Commands\n",
        "What `--help` of each command says. The global options `--quiet`, `--verbose` and `--debug` "
        "may stand anywhere on the line.\n",
    ]
    main = typer.main.get_command(app)
    parts.append(_parameters(main))
    for name, command in main.commands.items():  # type: ignore[attr-defined]
        parts += _command(f"lungscore {name}", command, "##")
    return "\n".join(parts)


def _command(name: str, command: Any, level: str) -> list[str]:
    parts = [f"{level} {name}\n", _markdown(command.help or "") + "\n"]
    if hasattr(command, "commands"):
        for inner, subcommand in command.commands.items():
            parts += _command(f"{name} {inner}", subcommand, level + "#")
        return parts
    return [*parts, f"    {_usage(name, command)}\n", _parameters(command)]


def _usage(name: str, command: Any) -> str:
    words = [name]
    for parameter in command.params:
        if not parameter.opts[0].startswith("-"):
            word = (parameter.metavar or parameter.name.upper()).strip("[]")
            word += "..." if parameter.nargs == -1 else ""
            words.append(word if parameter.required else f"[{word}]")
        elif parameter.required:
            words.append(f"{parameter.opts[0]} {parameter.metavar or parameter.name.upper()}")
    return " ".join([*words, "[OPTIONS]"])


def _parameters(command: Any) -> str:
    """A table of arguments and options, those of one panel of the help after the other."""
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    panels = dict.fromkeys(getattr(p, "rich_help_panel", None) for p in shown)
    rows = [_row(p) for panel in panels for p in shown if p.rich_help_panel == panel]
    return "\n".join(["| | | default |", "|---|---|---|", *rows]) + "\n"


def _row(parameter: Any) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    if not parameter.opts[0].startswith("-"):
        names = parameter.metavar or parameter.name.upper()
    elif metavar := parameter.metavar or "|".join(_choices(parameter)):
        names += f" {metavar}"
    default = parameter.default
    if isinstance(default, enum.Enum):
        default = default.value
    given = default not in (None, False, (), []) and not callable(default)
    shown = f"`{default}`" if given else ("required" if parameter.required else "")
    cells = [f"`{names}`", _markdown(parameter.help or ""), shown]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _choices(parameter: Any) -> list[str]:
    annotation = parameter.type_descriptor.annotation
    kinds = [annotation, *get_args(annotation)]
    enums = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, enum.Enum)]
    return [str(member.value) for kind in enums for member in kind]


def _markdown(text: str) -> str:
    """Text of a help as Markdown: options as code, nothing of it taken for markup."""
    text = text.replace("\b", "").replace("<", "\\<").replace("*", "\\*")
    text = re.sub(r"(?<![\w`-])(--?[a-z][\w-]*)", r"`\1`", text)
    return re.sub(r"\[/?[a-z]+\]", "", text).strip()


# Labels and codes


def labels_page() -> str:
    """Label values, colours, DICOM codes and codes of messages, from the tables in the source."""
    from lungscore.labels import MASK_LABELS
    from lungscore.pacs import codes

    lines = [
        "# Labels and codes\n",
        "Label values never change between versions. Every mask carries its names in the NIfTI header "
        "([viewers](../viewers.md)); the colours are those of the colour tables that are shipped.\n",
    ]
    dicom = {
        "lobes": {name: codes.LOBES[name] for name in codes.LOBES},
        "lesions": {"GGO": codes.GROUND_GLASS, "consolidation": codes.CONSOLIDATION},
    }
    for mask, labels in MASK_LABELS.items():
        lines += [
            f"## {mask}.nii.gz\n",
            "| value | name | meaning | colour | DICOM code |",
            "|---|---|---|---|---|",
        ]
        for label in labels:
            code = dicom.get(mask, {}).get(label.name)
            if mask == "regions":
                code = codes.region_code(label.name)
            if mask == "lungs":
                code = codes.LUNG
            shown = f"{code.value} {code.scheme}, {code.meaning}" if code else ""
            if mask == "lungs":
                side = codes.RIGHT if label.value == 1 else codes.LEFT
                shown += f"; {side.value} {side.scheme}, {side.meaning}"
            colour = label.colour
            swatch = f'<span class="swatch" style="background:{colour}"></span>'
            lines.append(
                f"| {label.value} | {label.name} | {label.title} | {swatch} `{colour}` | {shown} |"
            )
        lines.append("")
    return "\n".join(lines)


# Experiment files


def experiment_page() -> str:
    """The keys of an experiment file, from the models that read it."""
    from lungscore.learning.config import ExperimentConfig

    schema = ExperimentConfig.model_json_schema()
    lines = [
        "# Experiment files\n",
        "The keys of a YAML file for `lungscore train` and `lungscore pretrain`, with their defaults. "
        "[Training](../training.md) explains them.\n",
        *_model(schema, "experiment"),
    ]
    for name, part in schema.get("$defs", {}).items():
        if part.get("type") == "object":
            lines += _model(part, name)
    return "\n".join(lines)


def _model(schema: dict[str, Any], title: str) -> list[str]:
    lines = [f"## {title}\n", _markdown(schema.get("description", "").split("\n\n")[0]) + "\n"]
    lines += ["| key | type | default | |", "|---|---|---|---|"]
    for key, field in schema.get("properties", {}).items():
        default = "required" if key in schema.get("required", []) else f"`{field.get('default')}`"
        kind = _kind(field).replace("|", "\\|")
        lines.append(
            f"| `{key}` | {kind} | {default} | {_markdown(field.get('description', ''))} |"
        )
    return [*lines, ""]


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rsplit("/", 1)[1])
    if "anyOf" in field:
        return " or ".join(_kind(part) for part in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    return str(field.get("type", "any"))


# Pages at the root


def root_page(file: str) -> str:
    """A page of the repository's root, its links as seen from docs/generated/."""
    text = (ROOT / file).read_text("utf-8")
    text = re.sub(r"\]\(docs/", "](../", text)
    for other, name in ROOT_PAGES.items():
        text = text.replace(f"]({other}", f"]({name}.md")
    return re.sub(r"\]\((?!https?:|\.\./|#|[\w-]+\.md)([\w./-]+)\)", r"](../../\1)", text)
