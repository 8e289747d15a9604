"""Learned masks beside top-k and, at the masks' bytes, `klt`: a model's rows of Tables IV and V.

Masks and top-k keep a fifth of the elements in 8 bits, as the tables say. `klt` has the finest step whose frames are
in the sum no larger than the masks', found on training images. All are paired with the uncompressed model.

    python benchmarks/equal_bytes.py --checkpoint run/checkpoint.safetensors --artefacts codec.safetensors \
        --data eurosat_rgb.parquet --images 7500
"""

import argparse
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from coded_model import add_arguments, load

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.data.labelled.dataset import Dataset
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.training.evaluation.coded import CodedModel, evaluate_coded

MASKS, TOP_K = CodecSetting(Codec.MASK, 0.2, 8), CodecSetting(Codec.TOPK, 0.2, 8)
_STEPS = range(64)


def matched_step(
    model: CodedModel, dataset: Dataset, chosen: np.ndarray, setting: CodecSetting, cuts: Sequence[int], batch: int
) -> CodecSetting:
    """The finest `klt` that takes no more bytes than the setting, over all hops of the chosen images."""

    def coded_bytes(other: CodecSetting) -> int:
        (found,) = evaluate_coded(model, dataset, chosen, [other], cuts, batch)
        return sum(hop.wire_bytes for hop in found.hops)

    bound = coded_bytes(setting)
    # Bytes fall as steps grow, and bisect wants what rises.
    step = bisect_left(_STEPS, -bound, key=lambda step: -coded_bytes(CodecSetting(Codec.KLT, bits=step)))
    return CodecSetting(Codec.KLT, bits=step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, images=2000)
    parser.add_argument("--cuts", type=int, nargs="+", default=[3, 6, 9])
    parser.add_argument("--settings", nargs="*", default=[], help="further ones")
    parser.add_argument("--matched-images", type=int, default=200, help="training images that find the step of klt")
    args = parser.parse_args()
    model, dataset, chosen = load(parser, args)
    train = load_dataset(args.data, "train")
    matching = model, train, train.draw(args.matched_images, args.seed), MASKS, args.cuts, args.batch_size
    settings = list(dict.fromkeys([MASKS, TOP_K, matched_step(*matching), *map(CodecSetting.parse, args.settings)]))
    results = evaluate_coded(model, dataset, chosen, settings, args.cuts, args.batch_size)
    spec = model.spec
    print(
        f"{spec.architecture}, model {spec.model_id}; {args.data.stem} {args.split}, n = {len(chosen)}, "
        f"seed {args.seed}, cuts {' '.join(map(str, args.cuts))}"
    )
    print("| setting | accuracy | uncompressed | difference in points | bytes an image and hop | ratio of each hop |")
    print("|---|---|---|---|---|---|")
    for setting, found in zip(settings, results, strict=True):
        paired, low_high = found.paired, [100 * end for end in found.paired.difference_interval]
        print(
            f"| `{setting}` | {100 * paired.accuracy:.2f} % | {100 * paired.accuracy_reference:.2f} % | "
            f"{100 * paired.difference:+.2f} ({low_high[0]:+.2f} to {low_high[1]:+.2f}) | {found.bytes_per_hop:,.0f} | "
            f"{', '.join(f'{hop.ratio:.1f}x' for hop in found.hops)} |"
        )


if __name__ == "__main__":
    main()
