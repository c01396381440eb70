"""Follow-ups of the small made-up case: infected, then not, or as the test wants it."""

from collections.abc import Callable
from typing import Any

import pytest

from lungscore.followup import FollowUp, compare
from lungscore.result import Analysis


@pytest.fixture
def make_follow_up(make_analysis: Callable[..., Analysis]) -> Callable[..., FollowUp]:
    """A FollowUp of two analyses, each with its own arguments of ``make_analysis``."""

    def make(
        earlier: dict[str, Any] | None = None, later: dict[str, Any] | None = None, **options: Any
    ) -> FollowUp:
        first = make_analysis(**{"name": "first", **(earlier or {})})
        second = make_analysis(**{"name": "second", "infected": False, **(later or {})})
        return compare(first, second, **options)

    return make
