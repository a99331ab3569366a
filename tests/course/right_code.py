"""Right solutions of the tasks that are code. They are in the tests alone, as the answers they are."""

CONVOLUTION2D = """
import numpy as np

def convolution2d(image, kernel, padding=0, stride=1):
    image = np.pad(image, padding)
    K, L = kernel.shape
    P, Q = (image.shape[0] - K) // stride + 1, (image.shape[1] - L) // stride + 1
    output = np.zeros((P, Q))
    for i in range(P):
        for j in range(Q):
            output[i, j] = (image[i * stride : i * stride + K, j * stride : j * stride + L] * kernel).sum()
    return output

if __name__ == "__main__":
    raise SystemExit("a test of my own, which no check runs")
"""
FILTERS = """
import numpy as np

def create_filters():
    return {
        "vertical_edge": np.array([[1, 0, -1]] * 3),
        "horizontal_edge": np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]]),
        "blur": np.ones((3, 3)) / 9,
        "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    }
"""
SIZES = 'first = "224 × 224"\nsecond = 63\n'
MAX_POOLING = """
import numpy as np

def max_pooling2d(image, size=2, stride=None, padding=0):
    stride = stride or size
    padded = np.pad(image.astype(float), padding, constant_values=-np.inf)
    P, Q = (padded.shape[0] - size) // stride + 1, (padded.shape[1] - size) // stride + 1
    output = np.empty((P, Q))
    for i in range(P):
        for j in range(Q):
            output[i, j] = padded[i * stride : i * stride + size, j * stride : j * stride + size].max()
    return output
"""
FIVE_FILTERS = """
import numpy as np

IMAGE = "photo.png"

def my_filters():
    return {
        "sobel": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
        "mean": np.ones((2, 2)) / 4,
        "laplace": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        "corner": np.array([[1, -1], [-1, 1]]),
        "line": np.array([[-1, 2, -1]]),
    }

def apply_filters(image):
    results = {}
    for name, kernel in my_filters().items():
        K, L = kernel.shape
        windows = np.lib.stride_tricks.sliding_window_view(image, (K, L))
        results[name] = (windows * kernel).sum(axis=(2, 3))
    return results
"""
VGG_BLOCK = """
from torch import nn

def vgg_block(in_channels, out_channels, convolutions):
    layers = []
    for _ in range(convolutions):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(inplace=True)]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))
"""
NUMPY_CNN = """
import numpy as np

def initialise(seed):
    rng = np.random.default_rng(seed)
    return {
        "kernels": rng.normal(0, 0.3, (8, 1, 3, 3)), "shifts": np.zeros(8),
        "weights": rng.normal(0, 0.05, (10, 8 * 6 * 6)), "biases": np.zeros(10),
    }

def forward(p, images):
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))      # N 12 12 3 3
    maps = np.einsum("nhwkl,okl->nohw", windows, p["kernels"][:, 0], optimize=True) + p["shifts"][:, None, None]
    active = np.maximum(maps, 0)
    pooled = active.reshape(len(images), 8, 6, 2, 6, 2).mean(axis=(3, 5))
    logits = pooled.reshape(len(images), -1) @ p["weights"].T + p["biases"]
    return windows, maps, pooled, logits

def loss_and_gradients(p, images, labels):
    windows, maps, pooled, logits = forward(p, images)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(shares[rows, labels]).mean()
    back = shares
    back[rows, labels] -= 1
    back /= len(labels)
    d_pooled = (back @ p["weights"]).reshape(pooled.shape)
    d_maps = np.repeat(np.repeat(d_pooled, 2, axis=2), 2, axis=3) / 4 * (maps > 0)
    return loss, {
        "kernels": np.einsum("nohw,nhwkl->okl", d_maps, windows, optimize=True)[:, None],
        "shifts": d_maps.sum(axis=(0, 2, 3)),
        "weights": back.T @ pooled.reshape(len(images), -1),
        "biases": back.sum(axis=0),
    }

def train(images, labels):
    p, rng, moved = initialise(0), np.random.default_rng(1), None
    for _ in range(12):
        order = rng.permutation(len(images))
        for start in range(0, len(order), 20):
            batch = order[start : start + 20]
            _, gradients = loss_and_gradients(p, images[batch], labels[batch])
            moved = {k: 0.9 * (moved[k] if moved else 0) - 0.1 * g for k, g in gradients.items()}
            p = {k: v + moved[k] for k, v in p.items()}
    return p

def predict(p, images):
    return forward(p, images)[3].argmax(axis=1)
"""
