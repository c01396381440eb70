"""An input: its files, name -> content.

The file called ``input`` is the one that is read, or the folder of all of them where none is
called so.
"""

Files = dict[str, bytes]


def single(*contents: bytes) -> list[Files]:
    """One input for each content."""
    return [{"input": content} for content in contents]
