"""What a page and the API say of a bundle, as plain JSON values."""

from typing import Any

from svertka.bundle.manifest import MODEL, file_facts
from svertka.errors import BundleError, GraphError
from svertka.explain.opened_bundle import open_network
from svertka.schema import Bundle


def model_facts(bundle: Bundle, name: str, *, explains: bool | None = None) -> dict[str, Any]:
    """The facts by which a page introduces a model (``ModelFacts`` of the API).

    Args:
        bundle: loaded.
        name: under which the model is known.
        explains: whether it has class activation maps; None finds out. Cost: opening the graph and up to six passes.
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
        "explains": has_class_activation_maps(bundle) if explains is None else explains,
        "parity_n": bundle.parity.n,
        "metrics": {metric: _chosen(figure, "value", "low", "high", "n") for metric, figure in metrics.items()},
        "sources": [_chosen(source, "name", "origin", "licence") for source in manifest.get("sources", [])],
        "format": manifest["format"],
        "svertka": str(manifest.get("svertka", "")),
        "sha256": file_facts(bundle, MODEL)[1],
    }


def has_class_activation_maps(bundle: Bundle) -> bool:
    """Whether the network's features are the means of its maps, so that there is an exact class activation map."""
    try:
        return open_network(bundle, threads=1).stages > 0
    except (BundleError, GraphError):  # it predicts, as its bundle was checked, but isn't laid out to be looked into
        return False


def model_name(bundle: Bundle) -> str:
    """A name for a model that nobody named: of its folder, or of the run whose ``bundle/`` this is."""
    folder = bundle.directory.resolve()
    return (folder.parent.name if folder.name == "bundle" else folder.name) or "model"


def _chosen(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Those that the API knows: a newer svertka may write more."""
    return {name: fields[name] for name in names}
