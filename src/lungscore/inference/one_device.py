"""All of a result from one device: what a graphics card has no memory for, the processor does."""

from collections.abc import Callable
from typing import TypeVar

from lungscore.errors import ResourceError
from lungscore.inference.device import FULL
from lungscore.inference.segment import Segmenter

Result = TypeVar("Result")


def with_segmenter(
    load: Callable[[], Segmenter], work: Callable[[Callable[[], Segmenter]], Result]
) -> Result:
    """``work`` with the segmenter that ``load`` gives, the same at every call.

    Where the memory of its card does not suffice even for one slice at a time, all of it again on
    the processor, whose segmenter has the notice device-replaced.
    """
    try:
        return work(load)
    except ResourceError as error:
        if error.code != FULL:
            raise
    # Outside of the clause above, which keeps alive what fills the card.
    return work(lambda: load().on_processor)
