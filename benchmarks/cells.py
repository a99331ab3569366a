"""All 2,624 solar cells as the probe sees them: the catalog without its public split, and features computed once."""

from collections.abc import Sequence
from dataclasses import replace

from common import public_split

from svertka.config import RunConfig
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore, cache_dir
from svertka.data.scan import scan
from svertka.features.extractor import open_extractor
from svertka.features.feature_table import FeatureTable, extract
from svertka.features.linear_head import LinearHead
from svertka.schema import Catalog, Predictions
from svertka.util import runtime


def all_cells() -> tuple[RunConfig, Catalog, FeatureTable]:
    """Configuration, cells, and their features row for row."""
    config = RunConfig(data=str(public_split()), threads=1)
    cache = cache_dir()
    extractor = open_extractor(config, cache, runtime.setup(1).threads)
    catalog = scan(config.data, config=config, preprocess=extractor.preprocess, cache=cache)
    catalog = replace(catalog, records=tuple(replace(record, split=None) for record in catalog.records))
    everything = range(len(catalog.records))
    table = extract(extractor, ImageSource.of(catalog, everything, PixelStore(cache, extractor.preprocess)), cache)
    return config, catalog, table


def judge(head: LinearHead, catalog: Catalog, table: FeatureTable, rows: Sequence[int]) -> Predictions:
    """What a head says of some of them."""
    some = table.rows(rows)
    return Predictions(
        logits_NK=head.logits(some.read()),
        labels_N=some.y_N,
        paths=tuple(catalog.records[row].path for row in rows),
        class_names=catalog.class_names,
    )
