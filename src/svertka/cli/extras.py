"""What a verb needs beyond the base install, checked without importing it."""

from importlib.util import find_spec

from svertka.errors import MissingExtraError

TRAINING = ("torch", "torchvision", "timm", "safetensors", "onnx", "sklearn", "jinja2")


def need_training() -> None:
    """Raises MissingExtraError unless everything that training needs is installed."""
    missing = [name for name in TRAINING if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"training needs {', '.join(missing)}, not installed here; run: pip install 'svertka[train]'"
        )
