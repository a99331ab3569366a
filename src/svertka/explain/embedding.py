"""A two-dimensional embedding of all images by their features."""

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate import predicted_labels
from svertka.features.linear_head import LinearHead
from svertka.schema import FeatureMap, Predictions

FEWEST, MOST = 20, 400
"""Images: with fewer there is nothing to see; more cost time and hide one another."""

_COMPONENTS, _PERPLEXITY, _NEIGHBOURS = 30, 30.0, 10


def map_features(
    x_ND: NDArray[np.float32], head: LinearHead, test: Predictions, rows: NDArray[np.int64], seed: int
) -> FeatureMap | None:
    """Places images by t-SNE (van der Maaten and Hinton 2008) on the first principal components of their features.

    t-SNE rather than principal components alone: those of image features hold brightness and sharpness first, the
    classes rarely. It keeps neighbours; distances between far groups, and their sizes, mean nothing.

    The features are those of the test images that ``rows`` names; the head's scale makes them comparable. With too few
    images there is no map.
    """
    if len(rows) < FEWEST:
        return None
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness

    scaled_ND = (x_ND - x_ND.mean(axis=0)) * np.abs(head.scaled_weight_KD).mean(axis=0)
    components = min(_COMPONENTS, len(rows) - 1, x_ND.shape[1])
    z = PCA(components, random_state=seed).fit_transform(scaled_ND)
    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 4)
    xy_N2 = TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=400).fit_transform(z)
    neighbours = min(_NEIGHBOURS, (len(rows) - 1) // 2)
    return FeatureMap(
        x=tuple(round(float(value), 2) for value in xy_N2[:, 0]),
        y=tuple(round(float(value), 2) for value in xy_N2[:, 1]),
        labels=tuple(int(value) for value in test.labels_N[rows]),
        predicted=tuple(int(value) for value in predicted_labels(test)[rows]),
        paths=tuple(test.paths[row] for row in rows),
        trustworthiness=float(trustworthiness(z, xy_N2, n_neighbors=neighbours)),
    )
