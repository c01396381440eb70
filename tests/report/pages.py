"""A page as a browser sees it."""

from html.parser import HTMLParser


class _Tags(HTMLParser):
    """Collects tags and attributes; void elements need no end."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in {"meta", "img", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_page(page: str) -> None:
    """It is well formed, runs no script, and loads nothing from anywhere."""
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert not {"script", "link", "iframe", "object"} & tags.seen
    for name, value in tags.attributes:
        assert not name.startswith("on")
        if name in {"src", "href"}:
            assert value.startswith("data:image/")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
