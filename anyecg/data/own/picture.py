"""Pictures of one's own ECGs: photos, scans and PDF pages become pixels, or a clear word why not."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from anyecg.types import AnyECGError, DataError, Picture

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".pdf")
MOST = 60_000_000  # pixels of a picture that is opened
LEAST = 100  # pixels of a side
DPI = 200  # of a page of a PDF
# share of a picture that is ink on paper: lines cover little of a page, and something of it
INK = (0.0005, 0.28)
DARK = 0.7  # of the paper's brightness: darker is ink


def is_picture(path: Path | str) -> bool:
    """Whether a file is a picture by its name."""
    return Path(path).suffix.lower() in SUFFIXES


def read_picture(path: Path | str, id: str | None = None) -> Picture:
    """A photo, a scan (PNG, JPEG, TIFF, WebP) or the first page of a PDF, upright and on white.

    DataError where it cannot be read, is larger than `MOST` pixels, or is no ECG on paper as far as can be told
    (`no_ecg`); AnyECGError where a PDF needs a library that is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    pixels = _page(path) if path.suffix.lower() == ".pdf" else _image(path)
    if why := no_ecg(pixels):
        raise DataError(f"{path}: {why}; give a picture of an ECG on paper, upright and whole")
    return Picture(pixels, path.stem if id is None else id)


def no_ecg(pixels: np.ndarray) -> str | None:
    """Why a picture uint8 `[H, W, 3]` can be no ECG on paper; None where nothing speaks against it.

    Only what is plain is told: a page that is turned upside down, cropped or of 50 mm/s is read as it stands.
    """
    height, width, _ = pixels.shape
    if min(height, width) < LEAST:
        return f"is {width} x {height} pixels, too few to show an ECG"
    grey = pixels[:: max(1, height // 600), :: max(1, width // 800)].astype(np.float32).mean(axis=2)
    paper = float(np.quantile(grey, 0.7))
    if grey.max() - grey.min() < 10:
        return "shows nothing: all of it has one brightness"
    ink = float((grey < DARK * paper).mean())
    if paper < 60:
        return "is dark nearly everywhere; no paper can be seen"
    if not INK[0] <= ink <= INK[1]:
        return (
            f"does not look like an ECG on paper: {ink:.1%} of it is darker than paper, where lines cover a few percent"
        )
    return None


def _image(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            width, height = image.size
            _refuse(path, width, height)
            if (frames := getattr(image, "n_frames", 1)) > 1:
                log.warning("%s: holds %d pictures; the first is read", path, frames)
            upright = ImageOps.exif_transpose(image)
            return _on_white(upright)
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{path}: more than the {MOST // 10**6} million pixels that are read ({error}); scale it down"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{path}: cut short, broken or no picture ({type(error).__name__}: {error})") from error


def _on_white(image: Image.Image) -> np.ndarray:
    """uint8 `[H, W, 3]`; what is transparent is white; more than 8 bits are scaled down."""
    if image.mode in ("I", "I;16", "I;16B", "F"):
        values = np.asarray(image, np.float64)
        span = max(float(values.max() - values.min()), 1e-9)
        grey = ((values - values.min()) / span * 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    return np.asarray(image.convert("RGB")).copy()


def _page(path: Path) -> np.ndarray:
    """The first page of a PDF at `DPI`."""
    try:
        import pypdfium2
    except ImportError as error:
        raise AnyECGError(f"{path}: to read a PDF, pip install 'anyecg[pictures]' (pypdfium2)") from error
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise DataError(f"{path}: is encrypted; save it without a password") from error
        raise DataError(f"{path}: cut short, broken or no PDF ({error})") from error
    try:
        if not len(document):
            raise DataError(f"{path}: holds no page")
        if len(document) > 1:
            log.warning("%s: holds %d pages; the first is read", path, len(document))
        page = document[0]
        scale = DPI / 72
        _refuse(path, round(page.get_width() * scale), round(page.get_height() * scale))
        return np.asarray(page.render(scale=scale).to_pil().convert("RGB")).copy()
    finally:
        document.close()


def _refuse(path: Path, width: int, height: int) -> None:
    if width * height > MOST:
        raise DataError(
            f"{path}: {width} x {height} pixels ({width * height / 1e6:.0f} million) are more than the {MOST // 10**6} "
            f"million that are read; scale it down"
        )
