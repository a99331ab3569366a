"""Scans a folder or table into a ``Catalog``: every file is decoded once, hashed and checked.

What a file turned out to be is kept in ``index``, its prepared pixels in ``pixels``; an unchanged file costs one
``stat``. Original files are never touched.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

from svertka.config import MIN_IMAGES_PER_CLASS, RunConfig
from svertka.data.decode import decoding
from svertka.data.files import list_files
from svertka.data.fingerprint import fingerprint
from svertka.data.index import CachedScan, ScanIndex, Stamp, stamp
from svertka.data.listing import Listing, natural_key
from svertka.data.pillow import quiet_pillow
from svertka.data.pixels import PixelStore, cache_dir
from svertka.data.preprocess import apply_to_image
from svertka.errors import DataError, ImageRejected
from svertka.schema import Advanced, Catalog, EventSink, ImageRecord, Notice, Preprocess, Rejection, ignore_events
from svertka.util.runtime import compute_threads

_REMEMBER_EVERY = 64
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_FACTS = [field.name for field in fields(CachedScan) if field.name not in ("reason", "detail")]
_TRANSIENT_REASONS = frozenset({"unreadable"})  # permissions change without the file's stamp


def scan(
    root: Path | str,
    *,
    config: RunConfig | None = None,
    preprocess: Preprocess | None = None,
    cache: Path | str | None = None,
    on_event: EventSink = ignore_events,
    for_training: bool = True,
) -> Catalog:
    """Reads every image below ``root`` (or in a table) that hasn't been read before.

    Args:
        root: a folder or a table, see ``files``.
        config: columns and encoding of a table, the limit of pixels, threads, which classes are too small to keep.
        preprocess: when given, prepared pixels go to the ``PixelStore`` in the same pass.
        cache: where to remember; None means ``cache_dir()``.
        on_event: hears ``Advanced``; notices are in the catalog.
        for_training: demand at least two classes of at least ``MIN_IMAGES_PER_CLASS`` images; evaluation doesn't.

    Raises:
        NotFoundError: there is nothing at ``root``.
        DataError: nothing readable, too little to learn from, or a class name that is not valid Unicode.
        ConfigError: a column that the configuration names is not there.
    """
    config = config or RunConfig(data=str(root))
    listing = list_files(root, config)
    _check_class_names({entry.label for entry in listing.entries})
    catalog = scan_listing(
        listing, config, preprocess=preprocess, cache=cache_dir() if cache is None else Path(cache), on_event=on_event
    )
    if for_training and config.min_images:
        catalog = _without_small_classes(catalog, config.min_images)
    _check_usable(catalog, for_training)
    return catalog


def scan_listing(
    listing: Listing,
    config: RunConfig,
    *,
    preprocess: Preprocess | None,
    cache: Path,
    on_event: EventSink = ignore_events,
) -> Catalog:
    """The same for files that are known already, whatever came of them. Arguments as in ``scan``."""
    max_pixels = int(config.max_megapixels * 1e6)
    store = None if preprocess is None else PixelStore(cache, preprocess)
    with ScanIndex(cache, listing.root, max_pixels) as index:
        known, decoded = _examine(listing, index, store, max_pixels, config.threads, on_event)
        if index.damaged:
            on_event(Notice("scan_index_damaged", {"n": index.damaged}, level="warning"))
    return _catalog(listing, known, decoded)


def _check_class_names(names: set[str]) -> None:
    """A file may have any name; a class is written into manifests and reports."""
    for name in sorted(names):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(f"The class name {name!a} is not valid Unicode; rename its folder.") from None


def _examine(
    listing: Listing, index: ScanIndex, store: PixelStore | None, max_pixels: int, threads: int, on_event: EventSink
) -> tuple[dict[str, CachedScan], int]:
    """Returns what each path is, and how many files had to be decoded for it."""
    remembered = index.recall()
    known: dict[str, CachedScan] = {}
    unknown: list[tuple[str, Stamp | None]] = []
    for entry in listing.entries:
        now = stamp(listing.root / entry.path)
        before = remembered.get(entry.path)
        if before is not None and before[0] == now:
            known[entry.path] = before[1]
        else:
            unknown.append((entry.path, now))
    on_event(Advanced(len(known)))

    learnt: list[tuple[str, Stamp, CachedScan]] = []

    def examine(item: tuple[str, Stamp | None]) -> tuple[str, Stamp | None, CachedScan]:
        return *item, _look_at(listing.root / item[0], store, max_pixels)

    try:
        for path, when, found in in_threads(examine, unknown, threads):
            known[path] = found
            on_event(Advanced(len(known)))
            if when is not None and found.reason not in _TRANSIENT_REASONS:
                learnt.append((path, when, found))
            if len(learnt) >= _REMEMBER_EVERY:
                index.remember(learnt)
                learnt = []
    finally:  # Ctrl-C keeps what is done
        index.remember(learnt)
    return known, sum(known[path].reason not in _TRANSIENT_REASONS for path, _ in unknown)


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int) -> Iterator[_Result]:
    """Results in order. At most two items a thread are under way, so memory doesn't grow with the folder."""
    threads = compute_threads(threads)
    with ThreadPoolExecutor(threads) as pool, quiet_pillow():
        under_way: deque[Future[_Result]] = deque()
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= 2 * threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _look_at(file: Path, store: PixelStore | None, max_pixels: int) -> CachedScan:
    """Decodes one file; the pixels are gone when this returns."""
    try:
        with decoding(file, max_pixels=max_pixels) as decoded:
            digests = fingerprint(decoded.image, decoded.samples)
            # Deep samples become pixels by the range that the whole set will decide, so they are prepared when asked.
            if store is not None and decoded.samples is None and digests.pixels not in store:
                store.put(digests.pixels, apply_to_image(store.preprocess, decoded.image))
            return CachedScan(
                width_px=decoded.image.width,
                height_px=decoded.image.height,
                mode=decoded.mode,
                pixel_hash=digests.pixels,
                perceptual_hash=digests.perceptual,
                detail_hash=digests.detail,
                sketch=digests.sketch,
                notes=decoded.notes,
                span=None if decoded.samples is None else decoded.samples.span,
            )
    except ImageRejected as rejected:
        setting = " (max_megapixels)" if rejected.most_pixels else ""
        return CachedScan(reason=rejected.reason, detail=f"{rejected.detail}{setting}")


def _catalog(listing: Listing, known: dict[str, CachedScan], decoded: int) -> Catalog:
    class_names = tuple(sorted({entry.label for entry in listing.entries}, key=natural_key))
    number = {name: label for label, name in enumerate(class_names)}
    records, rejected = [], list(listing.rejected)
    for entry in listing.entries:
        found = known[entry.path]
        if found.reason:
            rejected.append(Rejection(path=entry.path, reason=found.reason, detail=found.detail))
        else:
            label, facts = number[entry.label], {name: getattr(found, name) for name in _FACTS}
            records.append(ImageRecord(path=entry.path, label=label, split=entry.split, group=entry.group, **facts))
    rejected.sort(key=lambda rejection: natural_key(rejection.path))
    notices = list(listing.notices)
    if rejected:
        reasons = dict(sorted(Counter(rejection.reason for rejection in rejected).items()))
        files = len(rejected) + len(records)
        notices.append(
            Notice("files_rejected", {"rejected": len(rejected), "files": files, "reasons": reasons}, level="warning")
        )
    return Catalog(
        root=listing.root,
        layout=listing.layout,
        class_names=class_names,
        records=tuple(records),
        rejected=tuple(rejected),
        notices=tuple(notices),
        decoded=decoded,
    )


def _check_usable(catalog: Catalog, for_training: bool) -> None:
    """Stops with one clear error before any time is spent on learning."""
    if not catalog.records:
        if catalog.rejected:
            first = catalog.rejected[0]
            found = f"none of {len(catalog.rejected)} files can be used; {first.path}: {first.reason}, {first.detail}"
        else:
            found = "there is no image in it"
        raise DataError(f"Nothing to learn from in {catalog.root}: {found}.")
    if not for_training:
        return
    if len(catalog.class_names) < 2:
        empty = [str(n.values["folder"]) for n in catalog.notices if n.code == "class_without_images"]
        only = catalog.class_names[0]
        if empty:
            only += f", for {', '.join(empty)} {'holds' if len(empty) == 1 else 'hold'} no images"
        raise DataError(
            f"{catalog.root} has one class only ({only}); a classifier needs at least two. "
            "Put the images into one folder a class, or check that this is the folder above the classes."
        )
    few = {name: count for name, count in _different_images(catalog).items() if count < MIN_IMAGES_PER_CLASS}
    if few:
        raise DataError(
            f"Too few different images in {', '.join(f'{name} ({count})' for name, count in few.items())}; at least "
            f"{MIN_IMAGES_PER_CLASS} a class are needed to train, choose and judge. Add images, or leave such classes "
            f"out: --min-images {MIN_IMAGES_PER_CLASS}, or min_images = {MIN_IMAGES_PER_CLASS} in a file for --config."
        )


def _different_images(catalog: Catalog) -> dict[str, int]:
    """How many images of each class differ in their pixels."""
    images: list[set[str]] = [set() for _ in catalog.class_names]
    for record in catalog.records:
        images[record.label].add(record.pixel_hash)
    return {name: len(distinct) for name, distinct in zip(catalog.class_names, images, strict=True)}


def _without_small_classes(catalog: Catalog, least: int) -> Catalog:
    """Leaves out the classes with fewer than ``least`` different images, and says which."""
    left_out = {name: count for name, count in _different_images(catalog).items() if count < least}
    if not left_out:
        return catalog
    kept = tuple(name for name in catalog.class_names if name not in left_out)
    if len(kept) < 2:
        raise DataError(
            f"min_images is {least}, which leaves {f'one class only ({kept[0]})' if kept else 'no class'} of "
            f"{len(catalog.class_names)}; a classifier needs at least two. The largest that are left out: "
            f"{', '.join(f'{name} ({left_out[name]})' for name in sorted(left_out, key=lambda n: -left_out[n])[:3])}."
        )
    number = {name: label for label, name in enumerate(kept)}
    records = (
        replace(r, label=number[name]) for r in catalog.records if (name := catalog.class_names[r.label]) in number
    )
    notice = Notice("classes_left_out", {"least": least, "classes": left_out}, level="warning")
    return replace(catalog, class_names=kept, records=tuple(records), notices=(*catalog.notices, notice))
