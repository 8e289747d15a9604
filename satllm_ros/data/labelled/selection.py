"""Choosing the frames of a demonstration bag."""

import numpy as np
from numpy.typing import NDArray

from satllm_ros.data.labelled.dataset import Dataset, DatasetError


def alternating_sample(dataset: Dataset, per_class: int, seed: int) -> NDArray[np.int64]:
    """Random choice of equally many images a class, in an order that alternates the classes.

    The order is made of `per_class` rounds; each has one image of every class, shuffled, so that any prefix
    of the bag is balanced to within one image a class.

    Returns
    -------
    numpy.ndarray
        (per_class * classes,) int64 indices into the data set, the same for the same data and seed.

    Raises
    ------
    DatasetError
        If per_class is below 1 or a class has fewer images.
    """
    if per_class < 1:
        raise DatasetError(f"{per_class} images a class is not allowed; at least 1 is needed")
    generator = np.random.default_rng(seed)
    columns = []
    for label, name in enumerate(dataset.classes):
        members = np.flatnonzero(dataset.labels == label)
        if len(members) < per_class:
            raise DatasetError(f"class {name} has {len(members)} images in this split; {per_class} were asked for")
        columns.append(generator.permutation(members)[:per_class])
    rounds = np.stack(columns, axis=1)
    return generator.permuted(rounds, axis=1).reshape(-1).astype(np.int64)
