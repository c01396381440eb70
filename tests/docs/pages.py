"""The pages of the manual, and the commands on them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

#: Every page that is written by hand, at the root or in docs/.
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    if not {"_build", "generated"} & set(path.relative_to(ROOT).parts)
)

#: A line of code that runs lungscore: indented, or in a fence, perhaps after a prompt.
_COMMAND = re.compile(r"^(?:    |\$ )?(?:\$ |srun (?:--?[\w=-]+ )*)?(lungscore [a-z].*)$")


class Command(NamedTuple):
    """A command as a page shows it."""

    page: str
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        """Its words after ``lungscore``, without what follows a pipe or a comment."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words = list(lexer)[1:]
        return words[: next((i for i, w in enumerate(words) if w in ("|", "&", ";")), len(words))]


def commands_of(path: Path) -> Iterator[Command]:
    """The commands in the code blocks of a page; a line that ends with a backslash goes on."""
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(r"\s*(```|~~~|:::)", line):
            fenced = not fenced
            continue
        if (fenced or line.startswith("    ")) and (match := _COMMAND.match(line)):
            # A remark set apart by several blanks.
            yield Command(name, number, re.split(r"\s{3,}", match[1])[0].rstrip(" \\"))


COMMANDS = [command for page in PAGES for command in commands_of(page)]
