"""Where images come from: a set that a package ships, or a folder with a folder for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalescope.errors import InputError, MissingExtraError, nearest

SUFFIXES = (".png", ".pgm", ".ppm", ".bmp")
"""Files that hold pixels as they are."""
LARGEST_SIDE = 1024
MOST_CLASSES = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image."""

    label: int
    pixels: bytes
    """Row by row, the channels of a pixel together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImages:
    """All that a source has."""

    name: str
    side: int
    channels: int
    classes: tuple[str, ...]
    images: tuple[Image, ...]
    licence: str = ""


def find_images(source: str) -> FoundImages:
    """Read a set by its name, or a folder.

    Raises
    ------
    InputError
        If it is neither, or its images are not of one square size.
    """
    if source in SETS:
        return SETS[source]()
    folder = Path(source)
    if not folder.is_dir():
        raise InputError(
            f"{source} is neither a set of images nor a folder", hint=nearest(source, [*SETS, "FOLDER"])
        )
    return _read_folder(folder)


def _digits() -> FoundImages:
    """The test part of UCI's optical digits, as scikit-learn ships it: greys from 0 to 16, 8x8 pixels."""
    try:
        from sklearn import datasets
    except ImportError:
        raise MissingExtraError("scikit-learn", "vision") from None
    found: Any = datasets.load_digits()
    greys = np.round(found.images * (255 / 16)).astype(np.uint8)
    return FoundImages(
        name="digits",
        side=8,
        channels=1,
        classes=tuple(str(name) for name in found.target_names),
        images=tuple(
            Image(label=int(label), pixels=one.tobytes())
            for label, one in zip(found.target, greys, strict=True)
        ),
        licence="shipped by scikit-learn (BSD-3-Clause), from https://archive.ics.uci.edu/dataset/80",
    )


SETS: Mapping[str, Callable[[], FoundImages]] = {"digits": _digits}
"""Sets by name."""


def _read_folder(folder: Path) -> FoundImages:
    classes = sorted(
        one.name for one in folder.iterdir() if one.is_dir() and any(_files(one)) and one.name[0] != "."
    )
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise InputError(
            f"{folder} has images of {len(classes)} classes and needs at least two",
            hint="Put the images of each class in a folder of its own, as "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} files.",
        )
    paths = [(label, path) for label, name in enumerate(classes) for path in _files(folder / name)]
    colours = Counter(_size(path) for _, path in paths)
    sizes = {size for size, _ in colours}
    side = next(iter(sizes))[0]
    if len(sizes) > 1 or side != next(iter(sizes))[1] or side > LARGEST_SIDE:
        shown = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)[:3])
        raise InputError(
            f"the images of {folder} are not squares of one size up to {LARGEST_SIDE}: {shown}",
            hint="Crop and resize them first.",
        )
    grey = all(mode in ("1", "L") for _, mode in colours)
    images = tuple(Image(label=label, pixels=_pixels(path, grey=grey)) for label, path in paths)
    return FoundImages(
        name=folder.name, side=side, channels=1 if grey else 3, classes=tuple(classes), images=images
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES)


def _size(path: Path) -> tuple[tuple[int, int], str]:
    """Return width and height, and how Pillow calls the kind of its pixels; no pixel is read."""
    with _open(path) as image:
        return image.size, image.mode


def _pixels(path: Path, *, grey: bool) -> bytes:
    with _open(path) as image:
        try:
            return bytes(image.convert("L" if grey else "RGB").tobytes())
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path} is damaged: {error}", hint="Remove it or fetch it again.") from None


def _open(path: Path) -> Any:
    try:
        from PIL import Image as pillow  # noqa: N813
    except ImportError:
        raise MissingExtraError("pillow", "vision") from None
    try:
        return pillow.open(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is no image: {error}", hint="Remove it or fetch it again.") from None
