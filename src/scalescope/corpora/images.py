"""Sets of square images with classes: what `Corpus` is for text.

A folder holds `train.bin` and `held_out.bin`, records of a class (two bytes, little-endian) and its pixels
(bytes, row by row), and `images.json`, which is written last. `image_sources` reads the images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from scalescope.corpora.image_sources import Image, find_images
from scalescope.errors import InputError
from scalescope.points import Provenance, digest_of, from_plain, read_json, to_plain, write_json
from scalescope.points.files import replacing
from scalescope.units import format_percent

MANIFEST = "images.json"
TRAIN = "train.bin"
HELD_OUT = "held_out.bin"
LEAST_IMAGES = 100
"""Fewer distinct ones make no study."""

Records = npt.NDArray[np.void]
"""Fields `label` and `pixels`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """Images of one size, split into training and held out.  Built by `prepare_images`."""

    schema: ClassVar[str] = "scalescope.images/1"

    name: str
    side: int
    """Pixels."""
    channels: int
    classes: tuple[str, ...]
    train_images: int
    held_out_images: int
    n_duplicates: int
    """Images dropped because another has the same pixels."""
    mean: float
    """Of the training pixels, 0 to 1."""
    deviation: float
    """Standard deviation of the training pixels."""
    digest: str
    """SHA-256 of classes, images and split: equal means equal files."""
    licence: str = ""
    train_file: str = TRAIN
    held_out_file: str = HELD_OUT
    provenance: Provenance = field(default_factory=Provenance)

    def train(self) -> Records:
        """Map the training images into memory, read-only."""
        return self._map(Path(self.train_file), self.train_images)

    def held_out(self) -> Records:
        """Map the held-out images into memory, read-only."""
        return self._map(Path(self.held_out_file), self.held_out_images)

    def at(self, train: Path | str, held_out: Path | str) -> ImageSet:
        """Return the same set with its files elsewhere, as on another machine."""
        return replace(self, train_file=str(train), held_out_file=str(held_out))

    @property
    def kind(self) -> np.dtype[np.void]:
        """What one record is."""
        return record_type(self.side, self.channels)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows: one a side of the split."""
        sizes = {"train": self.train_images, "held out": self.held_out_images}
        return [{"part": part, "images": images} for part, images in sizes.items()]

    def summary(self) -> str:
        """A few lines for a terminal."""
        n_images = self.train_images + self.held_out_images
        share = format_percent(self.held_out_images / n_images)
        dropped = f", {self.n_duplicates} duplicates dropped" if self.n_duplicates else ""
        pixels = f"{self.side}x{self.side} pixels" + (f", {self.channels} channels" * (self.channels > 1))
        lines = [
            f"{self.name}: {n_images} images of {pixels}, {len(self.classes)} classes{dropped}",
            f"  held out  {self.held_out_images} images ({share})",
            f"  digest    {self.digest[:12]}",
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ImageSet:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)

    def _map(self, path: Path, n_images: int) -> Records:
        hint = "Prepare the images again."
        try:
            size = path.stat().st_size
        except OSError as error:
            raise InputError(f"cannot read the images {path}: {error.strerror}", hint=hint) from None
        if size != n_images * self.kind.itemsize:
            wanted = n_images * self.kind.itemsize
            raise InputError(f"{path} has {size} bytes where {wanted} were written", hint=hint)
        return np.memmap(path, dtype=self.kind, mode="r")


def record_type(side: int, channels: int) -> np.dtype[np.void]:
    """Return the type of one record."""
    return np.dtype([("label", "<u2"), ("pixels", "u1", (side, side, channels))])


def open_images(folder: Path) -> ImageSet:
    """Read the set that `prepare_images` left in `folder`.

    Raises
    ------
    InputError
        If there is none, or it was written by another version.
    """
    return ImageSet.from_dict(read_json(folder / MANIFEST)).at(folder / TRAIN, folder / HELD_OUT)


def prepare_images(source: str, folder: Path, *, held_out: float = 0.2) -> ImageSet:
    """Split a set of images and keep it in `folder`; a second call with the same source returns the first's.

    Images of equal pixels are one. Those with the least hashes of their pixels are held out, so that the
    split does not depend on names, order or machine.

    Parameters
    ----------
    source
        `digits`, 1,797 handwritten digits of 8x8 pixels that scikit-learn ships; or a folder with a folder
        of images for each class.
    folder
        Where the set is kept; it may not hold another.
    held_out
        Share of the images to hold out.

    Raises
    ------
    InputError
        If the source cannot be used, or `folder` holds another set.
    """
    if not 0 < held_out <= 0.5:
        raise InputError(
            f"the held-out share must be above 0 and at most 0.5, got {held_out}", hint="0.2 is usual."
        )
    found = find_images(source)
    kept = _distinct(found.images)
    if len(kept) < LEAST_IMAGES:
        raise InputError(
            f"{found.name} has {len(kept)} distinct images and needs at least {LEAST_IMAGES}",
            hint="Give a larger set.",
        )
    n_held_out = max(1, round(held_out * len(kept)))
    sides = {HELD_OUT: kept[:n_held_out], TRAIN: kept[n_held_out:]}
    kind = record_type(found.side, found.channels)
    content = {
        name: b"".join(image.label.to_bytes(2, "little") + image.pixels for image in images)
        for name, images in sides.items()
    }
    digest = digest_of(
        "\n".join(found.classes).encode(), f"{found.side} {found.channels}".encode(), *content.values()
    )
    _refuse_other(folder, digest)
    pixels = np.frombuffer(content[TRAIN], dtype=kind)["pixels"] / 255
    images = ImageSet(
        name=found.name,
        side=found.side,
        channels=found.channels,
        classes=found.classes,
        train_images=len(sides[TRAIN]),
        held_out_images=n_held_out,
        n_duplicates=len(found.images) - len(kept),
        mean=float(pixels.mean()),
        deviation=float(pixels.std()) or 1.0,
        digest=digest,
        licence=found.licence,
        provenance=Provenance(source=source, digest=digest, options={"held_out": held_out}),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in content.items():
        with replacing(folder / name) as part:
            part.write_bytes(value)
    write_json(folder / MANIFEST, images.to_dict())
    return images.at(folder / TRAIN, folder / HELD_OUT)


def _distinct(images: Sequence[Image]) -> list[Image]:
    """Return one image for each content, by hash."""
    first: dict[bytes, Image] = {}
    for image in images:
        first.setdefault(hashlib.sha256(image.pixels).digest(), image)
    return [first[key] for key in sorted(first)]


def _refuse_other(folder: Path, digest: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Choose another place for the images.")
    if (folder / MANIFEST).exists() and open_images(folder).digest != digest:
        raise InputError(f"{folder} holds another set of images", hint="Use another folder.")
