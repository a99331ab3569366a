"""What a page and the API say of a bundle, as plain JSON values."""

from pathlib import Path
from typing import Any

from svertka.bundle.bundle import open_bundle
from svertka.bundle.manifest import MODEL, file_facts
from svertka.errors import BundleError, GraphError
from svertka.explain.opened_bundle import OpenedBundle, network_of
from svertka.schema import Bundle


def model_facts(bundle: Bundle, name: str, *, explains: bool | None = None) -> dict[str, Any]:
    """The facts by which a page introduces a model (``ModelFacts`` of the API).

    Args:
        bundle: loaded.
        name: under which the model is known.
        explains: whether it has class activation maps; None opens it to find out, see ``network_with_maps``.
    """
    manifest: Any = bundle.manifest
    metrics = manifest.get("metrics", {})
    return {
        "name": name,
        "classes": list(bundle.class_names),
        "positive": manifest.get("positive", ""),
        "preprocess": bundle.preprocess.as_fields(),
        "coverage": bundle.conformal.target if bundle.conformal else None,
        "remembers": bundle.novelty is not None,
        "explains": network_with_maps(*open_bundle(bundle)) is not None if explains is None else explains,
        "parity_n": bundle.parity.n,
        "metrics": {metric: _chosen(figure, "value", "low", "high", "n") for metric, figure in metrics.items()},
        "sources": [_chosen(source, "name", "origin", "licence") for source in manifest.get("sources", [])],
        "format": manifest["format"],
        "svertka": str(manifest.get("svertka", "")),
        "sha256": file_facts(bundle, MODEL)[1],
    }


def network_with_maps(bundle: Bundle, model: bytes) -> OpenedBundle | None:
    """The network for looking inside, if it has exact class activation maps: features that are the means of its maps.

    Cost: opening the graph and up to five passes.

    Args:
        bundle: loaded.
        model: its graph, as ``open_bundle`` returns both.
    """
    try:
        network = network_of(bundle, model, threads=1)
    except (BundleError, GraphError):  # it predicts, as its bundle was checked, but isn't laid out to be looked into
        return None
    return network if network.stages else None


def model_name(folder: Path) -> str:
    """A name for a model that nobody named: of its bundle's folder, or of the run whose ``bundle/`` this is."""
    folder = folder.expanduser().resolve()
    return (folder.parent.name if folder.name == "bundle" else folder.name) or "model"


def _chosen(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Those that the API knows: a newer svertka may write more."""
    return {name: fields[name] for name in names}
