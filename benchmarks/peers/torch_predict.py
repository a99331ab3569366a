"""Prediction as a torch user writes it: load the model, read files with PIL, eager forward passes, write a CSV.

The model is the one in a svertka bundle, rebuilt as a torch module from its ``weights.safetensors``, so that labels
can be compared. Images go through PIL and torchvision's v1 transforms in batches of 32.

Usage: torch_predict.py BUNDLE FOLDER OUT.csv
"""

import csv
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision import transforms

from svertka.backbones.load import load_backbone


def main() -> None:
    bundle, folder, out = map(Path, sys.argv[1:])
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    names, preprocess = manifest["class_names"], manifest["preprocess"]
    tensors = load_file(bundle / "weights.safetensors")
    head = {name.removeprefix("head."): tensors.pop(name) for name in list(tensors) if name.startswith("head.")}
    network = load_backbone(weights="none").module.eval()
    network.load_state_dict(tensors)
    transform = transforms.Compose(
        [
            transforms.Resize(
                (preprocess["size_px"], preprocess["size_px"]),
                transforms.InterpolationMode(preprocess["interpolation"]),
            ),
            transforms.ToTensor(),
            transforms.Normalize(preprocess["mean"], preprocess["std"]),
        ]
    )
    files = sorted(folder.rglob("*.png"))
    with out.open("w", encoding="utf-8", newline="") as file, torch.no_grad():
        rows = csv.writer(file)
        rows.writerow(["path", "label", "confidence", *(f"p:{name}" for name in names)])
        for start in range(0, len(files), 32):
            batch = files[start : start + 32]
            x = torch.stack([transform(Image.open(path).convert("RGB")) for path in batch])
            features = (network(x) - head["mean_D"]) / head["scale_D"]
            logits = features @ head["weight_KD"].T + head["bias_K"]
            for path, p in zip(batch, (logits / manifest["temperature"]).softmax(1).tolist(), strict=True):
                best = max(range(len(p)), key=p.__getitem__)
                rows.writerow([path, names[best], p[best], *p])


if __name__ == "__main__":
    main()
