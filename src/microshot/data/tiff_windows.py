"""Parts of a TIFF file: only the tiles or strips are read that a part touches."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data import tiff
from microshot.data.image import names_of
from microshot.data.tiff_structure import check_structure
from microshot.data.windowed import Facts, checked_kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Bytes of decoded tiles and strips that are kept: those of a row of blocks, if it is not too long.
CACHE_BYTES = 192 << 20
#: A tile or strip with more bytes has to be decoded whole and cannot be read in parts.
MAX_SEGMENT_BYTES = 512 << 20


class TiffWindows:
    """See `windowed.Windowed`. Planes are taken as `tiff.read_tiff` takes them."""

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where
        with path.open("rb") as file:
            check_structure(file, path.stat().st_size, where)
        try:
            self._file, ome = tiff.own_planes(path, where)
            weakref.finalize(self, self._file.close)
            size, names = tiff.pixel_size_of(self._file, ome), tiff.channel_names(self._file, ome)
            self._series = series = tiff.one_series(self._file, where)
            height, width = (series.shape[series.axes.index(axis)] for axis in "YX")
        except tiff.TIFF_ERRORS as error:
            if str(error).startswith(where):
                raise
            raise self._damaged(error) from error
        self._page = series.keyframe
        self._leading = [i for i, axis in enumerate(series.axes) if axis not in "SYX"]
        n_alpha = sum(int(extra) in (1, 2) for extra in self._page.extrasamples)
        samples = series.shape[series.axes.index("S")] - n_alpha if "S" in series.axes else 1
        self._samples = samples
        n_planes = int(np.prod([series.shape[i] for i in self._leading], dtype=np.int64))
        n = n_planes * samples
        is_colour = n == 3 and tiff.is_photograph(self._page)
        names = names_of(n, names, is_colour=is_colour)
        self.facts = Facts((n, height, width), np.dtype(series.dtype), size, names, is_colour)
        self._cache: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._cached = 0
        self._mapped = series.dataoffset is not None

    def files(self) -> Sequence[Path]:
        """Return the file."""
        return [self.path]

    def check(self) -> None:
        """Refuse files whose parts cannot be read alone."""
        checked_kind(self.facts.dtype, self.where)
        if self._mapped:
            return
        page, n_planes = self._page, self.facts.shape[0] // self._samples
        try:
            n_pages = len(list(self._series.pages))
        except tiff.TIFF_ERRORS as error:  # pages that a text in the file promises
            raise self._damaged(error) from error
        if n_pages != n_planes:
            raise ValueError(
                f"{self.where}: expected one page per plane in an image that is read in parts, "
                f"found {n_pages} pages for {n_planes} planes; save it as OME-TIFF."
            )
        segment = (page.tilelength or page.rowsperstrip) * (page.tilewidth or page.imagewidth)
        if segment * self.facts.dtype.itemsize * page.samplesperpixel > MAX_SEGMENT_BYTES:
            raise ValueError(
                f"{self.where}: the image is compressed in one piece and cannot be read in parts; "
                "save it as tiled TIFF, for example with QuPath or bfconvert."
            )

    def _damaged(self, error: BaseException) -> ValueError:
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        if "imagecodecs" in detail:
            return ValueError(
                f"{self.where}: the TIFF file is compressed in a way that needs the package "
                "imagecodecs; install it, or save the file without compression."
            )
        return ValueError(
            f"{self.where}: the TIFF file is damaged or of a kind that cannot be read in parts "
            f"({detail}); open it in Fiji and save it as TIFF again."
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def stored(self, rows: slice, columns: slice, channel: int | None = None) -> np.ndarray:
        """Return a part of the image (C, y, x) as stored, or that of one channel (1, y, x)."""
        read = self._from_map if self._mapped else self._read
        try:
            return read(rows, columns, channel)
        except tiff.TIFF_ERRORS as error:
            raise self._damaged(error) from error

    def _from_map(self, rows: slice, columns: slice, channel: int | None) -> np.ndarray:
        """Copy from the file mapped for this call only, so that no page of it stays in memory."""
        series = self._series
        dtype = np.dtype(series.dtype).newbyteorder(self._file.byteorder)
        mapped = np.memmap(self.path, dtype, "r", int(series.dataoffset or 0), series.shape)
        order = [*self._leading, *(series.axes.index(a) for a in "SYX" if a in series.axes)]
        view = mapped.transpose(order)
        if "S" in series.axes:
            view = view[..., : self._samples, :, :]
        if channel is not None:
            view = view[np.unravel_index(channel, view.shape[:-2])]
        part = np.array(view[..., rows, columns])
        return part.reshape(-1, *part.shape[-2:])

    def _read(self, rows: slice, columns: slice, channel: int | None) -> np.ndarray:
        """Decode the tiles or strips that the part touches."""
        height, width = rows.stop - rows.start, columns.stop - columns.start
        pages, first = self._series.pages, 0
        if channel is not None:
            first = channel // self._samples
            pages = [pages[first]]
        made = np.zeros((len(pages), self._samples, height, width), self._page.dtype)
        for index, page in enumerate(pages):
            for number, (top, left, tall, wide), sample in self._touched(rows, columns):
                piece = self._segment(first + index, page, number)  # (y, x, s) or zeros
                y = slice(max(rows.start, top), min(rows.stop, top + tall))
                x = slice(max(columns.start, left), min(columns.stop, left + wide))
                inner = piece[y.start - top : y.stop - top, x.start - left : x.stop - left]
                target = made[index, :, y.start - rows.start : y.stop - rows.start,
                              x.start - columns.start : x.stop - columns.start]  # fmt: skip
                if sample is None:
                    target[...] = np.moveaxis(inner, -1, 0)[: self._samples]
                elif sample < self._samples:
                    target[sample] = inner[..., 0]
        if channel is not None:
            made = made[:, channel % self._samples]
        return made.reshape(-1, height, width)

    def _touched(self, rows: slice, columns: slice) -> Any:
        """Yield index, place and sample (None = all) of the tiles or strips of one page."""
        page = self._page
        height, width = page.imagelength, page.imagewidth
        tall = page.tilelength or min(page.rowsperstrip, height)
        wide = page.tilewidth or width
        across, down = -(-width // wide), -(-height // tall)
        separate = page.planarconfig == 2 and page.samplesperpixel > 1
        for sample in range(page.samplesperpixel) if separate else (None,):
            for y in range(rows.start // tall, -(-rows.stop // tall)):
                for x in range(columns.start // wide, -(-columns.stop // wide)):
                    number = (y + (sample or 0) * down) * across + x
                    place = (y * tall, x * wide, tall, wide)
                    yield number, place, sample

    def _segment(self, index: int, page: Any, number: int) -> np.ndarray:
        """Return a decoded tile or strip (y, x, s)."""
        key = (index, number)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        keyframe, handle = self._page, self._file.filehandle
        options: dict[str, Any] = {"_fullsize": keyframe.is_tiled}
        if keyframe.compression in (6, 7, 34892, 33007):
            options |= {"jpegtables": page.jpegtables, "jpegheader": keyframe.jpegheader}
        handle.seek(page.dataoffsets[number])
        data = handle.read(page.databytecounts[number]) if page.databytecounts[number] else None
        found, _, shape = keyframe.decode(data, number, **options)
        piece = np.zeros(shape, keyframe.dtype) if found is None else found
        piece = piece.reshape(-1, *piece.shape[-2:]) if piece.ndim == 4 else piece
        self._cache[key] = piece
        self._cached += piece.nbytes
        while self._cached > CACHE_BYTES and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].nbytes
        return piece
