"""Ratio after each step of codec `mask` at each hop of a chain, in real bytes beside Eq. 7: the figures behind Fig. 8.

python benchmarks/codec_steps.py --data eurosat_rgb.parquet --cuts 3 6 9 --codec mask:0.2:8
"""

import argparse

import numpy as np
from coded_model import add_arguments, load

from satllm_ros.compression.calibration.cut_model import image_batches
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tools.estimate import estimate
from satllm_ros.compression.wire.frame import read_header, split_sections
from satllm_ros.compression.wire.setting import CodecSetting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, images=500)
    parser.add_argument("--cuts", type=int, nargs="+", default=[3, 6, 9])
    parser.add_argument("--codec", default="mask:0.2:8")
    args = parser.parse_args()
    model, dataset, chosen = load(parser, args)
    setting, spec = CodecSetting.parse(args.codec), model.spec
    # float32, kept values as float32, kept values as symbols, Eq. 7 of the symbols, whole frames.
    found = np.zeros((len(args.cuts), 5))
    for _, values in image_batches(dataset, spec, chosen, args.batch_size):
        done = 0
        for row, cut in enumerate(args.cuts):
            values = model.run(values, done, cut)
            frame = memoryview(encode(values, setting, model.artefacts, cut))
            header = read_header(frame, max_elements=values.size)
            theory = estimate(header, split_sections(frame, header), model.artefacts)
            if theory is None:
                raise ValueError(f"of {setting} there is nothing to estimate")
            prefix = len(values) * spec.prefix_tokens * spec.width
            found[row] += (
                values.nbytes,
                4 * (theory.symbols + prefix),
                theory.symbols * setting.bits / 8 + 2 * prefix,
                theory.eq7_bytes,
                len(frame),
            )
            values, done = decode(frame, model.artefacts, max_elements=values.size).activation, cut
    print(
        f"model {spec.model_id}, {args.codec}, {len(chosen)} images of {args.data.stem} {args.split}, seed {args.seed}"
    )
    print("| satellite | after the mask | after the quantizer | Eq. 7, patch symbols alone | real frames |")
    print("|---|---|---|---|---|")
    for satellite, (fp32, kept, symbols, theory, real) in enumerate(found, start=1):
        print(
            f"| {satellite} (cut {args.cuts[satellite - 1]}) | {fp32 / kept:.2f}x | {fp32 / symbols:.2f}x | "
            f"{fp32 / theory:.2f}x | {fp32 / real:.2f}x |"
        )


if __name__ == "__main__":
    main()
