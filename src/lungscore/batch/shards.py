"""One share of many scans, for jobs that know nothing of each other."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lungscore.batch.case import Case, as_case
from lungscore.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``total`` shares, counted from 1."""

    number: int
    total: int

    def holds(self, given: Path | Case) -> bool:
        """Whether the case of ``given`` belongs to this share.

        The case's name alone decides (SHA-256 of its small letters, as a number, modulo
        ``total``): every case is in exactly one share, whatever else lies beside it and in
        whatever order it is listed, so that jobs which start hours apart still agree. The price:
        shares are only about equal.
        """
        name = as_case(given).name.casefold()
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape"))
        return int.from_bytes(digest.digest()) % self.total == self.number - 1

    def of(self, inputs: Iterable[Path | Case]) -> list[Path | Case]:
        """The inputs of this share, in their order."""
        return [given for given in inputs if self.holds(given)]


def parse_shard(text: str) -> Shard:
    """``i/N`` with 1 <= i <= N. Raises UsageError."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match:
        shard = Shard(int(match[1]), int(match[2]))
        if 1 <= shard.number <= shard.total:
            return shard
    raise UsageError(
        "usage", f"--shard {text}", expected="i/N with i from 1 to N, for example 3/20"
    )
