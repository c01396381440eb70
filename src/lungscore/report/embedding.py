"""What a page carries in itself: pictures as data, text in a style sheet, the hash of a script."""

import base64
import hashlib
import io

from lungscore.report.pictures import Picture


def embedded(picture: Picture) -> dict[str, str | int]:
    """A picture as data: the slice as JPEG, its contours as a small PNG to lay over it."""
    grey, contours = io.BytesIO(), io.BytesIO()
    picture.image.save(grey, "JPEG", quality=82)
    picture.contours.save(
        contours, "PNG", transparency=picture.contours.info["transparency"], bits=4
    )
    size: tuple[int, int] = picture.image.size
    return {
        "image": data_uri(grey.getvalue(), "jpeg"),
        "contours": data_uri(contours.getvalue(), "png"),
        "caption": picture.caption,
        "alt": picture.alt or picture.caption,
        "width": size[0],
        "height": size[1],
    }


def data_uri(content: bytes, kind: str) -> str:
    """An image (kind: png, jpeg) as the source of an img element."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def css_string(text: str) -> str:
    """``text`` as a string of a style sheet, from which nothing gets out."""
    return '"' + "".join(c if c.isalnum() else f"\\{ord(c):x} " for c in text) + '"'


def script_hash(script: str) -> str:
    """What the page's policy names the one script by that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
