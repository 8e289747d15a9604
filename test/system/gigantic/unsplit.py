"""The unsplit model in a process of its own, begun only when the parent says so: it may be limited until then.

Arguments: checkpoint, folder of images, file to write (npz: logits (E,) float32 by the frame's number).
"""

import sys
from pathlib import Path

import numpy as np


def main() -> None:
    checkpoint, folder, target = map(Path, sys.argv[1:])
    sys.stdin.readline()
    import torch

    from satllm_ros.data.folder import list_folder
    from satllm_ros.data.images.decoding import decode_image
    from satllm_ros.model.checkpoints.checkpoint import load_model
    from satllm_ros.model.spec import read_spec
    from satllm_ros.model.stage import normalize

    torch.set_num_threads(1)
    spec = read_spec(checkpoint)
    model = load_model(checkpoint)
    logits = {}
    for number, name in enumerate(list_folder(folder).files, start=1):
        image = decode_image((folder / name).read_bytes(), name)
        with torch.inference_mode():
            logits[str(number)] = model(normalize(image[np.newaxis], spec))[0].numpy()
    np.savez(target, **logits)


if __name__ == "__main__":
    main()
