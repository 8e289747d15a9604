"""Learned masks beside top-k and, at the masks' bytes, `klt`: a model's rows of Tables IV and V.

Masks and top-k keep a fifth of the elements in 8 bits, as the tables say. `klt` has the finest step whose frames are
in the sum no larger than the masks', found on training images. All are paired with the uncompressed model.

    python benchmarks/equal_bytes.py --checkpoint run/checkpoint.safetensors --artefacts codec.safetensors \
        --data eurosat_rgb.parquet --images 7500
"""

import argparse
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
from coded_model import add_arguments, load

from satllm_ros.compression.setting import Codec, CodecSetting
from satllm_ros.data.datasets import Dataset, load_dataset
from satllm_ros.training.coded import CodedModel, CodedResult, evaluate_coded

MASKS, TOP_K = CodecSetting(Codec.MASK, 0.2, 8), CodecSetting(Codec.TOPK, 0.2, 8)
_STEPS = range(64)


def matched_step(
    model: CodedModel, dataset: Dataset, chosen: np.ndarray, setting: CodecSetting, cuts: Sequence[int], batch: int
) -> CodecSetting:
    """The finest `klt` that takes no more bytes than the setting, over all hops of the chosen images."""

    def coded_bytes(other: CodecSetting) -> int:
        return sum(hop.wire_bytes for hop in evaluate_coded(model, dataset, chosen, other, cuts, batch).hops)

    bound = coded_bytes(setting)
    # Bytes fall as steps grow, and bisect wants what rises.
    step = bisect_left(_STEPS, -bound, key=lambda step: -coded_bytes(CodecSetting(Codec.KLT, bits=step)))
    return CodecSetting(Codec.KLT, bits=step)


def rows(args: argparse.Namespace) -> Iterator[tuple[CodecSetting, CodedResult]]:
    """Each setting with what it gives."""
    train = load_dataset(args.data, "train")
    chosen = train.draw(args.matched_images, args.seed)
    matched = matched_step(args.model, train, chosen, MASKS, args.cuts, args.batch_size)
    wanted = [MASKS, TOP_K, matched, *map(CodecSetting.parse, args.settings)]
    for setting in dict.fromkeys(wanted):
        yield setting, evaluate_coded(args.model, args.dataset, args.chosen, setting, args.cuts, args.batch_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, images=2000)
    parser.add_argument("--cuts", type=int, nargs="+", default=[3, 6, 9])
    parser.add_argument("--settings", nargs="*", default=[], help="further ones")
    parser.add_argument("--matched-images", type=int, default=200, help="training images that find the step of klt")
    args = parser.parse_args()
    args.model, args.dataset, args.chosen = load(parser, args)
    spec = args.model.spec
    print(
        f"{spec.architecture}, model {spec.model_id}; {args.data.stem} {args.split}, n = {len(args.chosen)}, "
        f"seed {args.seed}, cuts {' '.join(map(str, args.cuts))}"
    )
    print("| setting | accuracy | uncompressed | difference in points | bytes an image and hop | ratio of each hop |")
    print("|---|---|---|---|---|---|")
    for setting, found in rows(args):
        paired, low_high = found.paired, [100 * end for end in found.paired.difference_interval]
        size = sum(hop.wire_bytes for hop in found.hops) / len(found.hops) / paired.n
        print(
            f"| `{setting}` | {100 * paired.accuracy:.2f} % | {100 * paired.accuracy_reference:.2f} % | "
            f"{100 * paired.difference:+.2f} ({low_high[0]:+.2f} to {low_high[1]:+.2f}) | {size:,.0f} | "
            f"{', '.join(f'{hop.ratio:.1f}x' for hop in found.hops)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
