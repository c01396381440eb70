"""The report as PDF, by WeasyPrint (the extra ``pdf``)."""

from typing import Any

from lungscore.errors import ResourceError

_HINT = "Install lungscore[pdf] and the system libraries that it needs (docs/report.md)"


def weasyprint() -> Any:
    """The library. Raises ResourceError ``library-missing`` where it, or Pango, is not there."""
    from PIL import ImageFile

    # WeasyPrint tells Pillow to read pictures that are cut off, for the whole process: a scan's
    # slices must go on being refused then.
    tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        import weasyprint
    except (ImportError, OSError) as error:  # OSError: a system library cannot be loaded
        fault = f"--pdf needs WeasyPrint, which cannot be loaded ({type(error).__name__})"
        raise ResourceError("library-missing", fault, hint=_HINT) from None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant
    return weasyprint


def pdf_bytes(page: str) -> bytes:
    """``page`` (self-contained HTML) on A4. Nothing is loaded from elsewhere."""
    library = weasyprint()
    fetcher = library.URLFetcher(allowed_protocols=["data"])
    content: bytes = library.HTML(string=page, url_fetcher=fetcher).write_pdf()
    return content
