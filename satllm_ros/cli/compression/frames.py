"""`satllm compress`, `decompress` and `inspect`: frames as files."""

import argparse
from pathlib import Path

from satllm_ros.assets.paths import artefacts_path

# Frames of files come from their owner; this only keeps a damaged one from taking all memory.
_MAX_ELEMENTS = 1 << 30


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the three commands."""
    compress = subparsers.add_parser("compress", help="code an activation of a .npy or .safetensors file as a frame")
    compress.add_argument("tensor", type=Path, help="float (N, S, D)")
    compress.add_argument("frame", type=Path, help="file to write")
    compress.add_argument("--name", help="which tensor of a .safetensors file")
    compress.add_argument("--cut", type=int, required=True, help="blocks already run")
    how = compress.add_mutually_exclusive_group(required=True)
    how.add_argument("--setting", help="such as int8, mask:0.2:8 or klt:16")
    how.add_argument("--bytes-per-image", type=float, help="the finest step of klt that keeps to this")
    how.add_argument("--max-loss", type=float, help="the smallest measured setting that loses at most this share of 1")
    compress.set_defaults(run=_compress)

    decompress = subparsers.add_parser("decompress", help="decode a frame into a .npy or .safetensors file")
    decompress.add_argument("frame", type=Path)
    decompress.add_argument("tensor", type=Path, help="file to write")
    decompress.set_defaults(run=_decompress)

    inspect = subparsers.add_parser("inspect", help="say what a frame holds, and what it costs in theory")
    inspect.add_argument("frame", type=Path)
    inspect.set_defaults(run=_inspect)
    for parser in (compress, decompress, inspect):
        parser.add_argument("--artefacts", default="demo", help="codec artefacts; demo are those shipped here")


def _compress(args: argparse.Namespace) -> int:
    from satllm_ros.compression.codec import encode
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.compression.tools.rate_control import encode_within, within_accuracy
    from satllm_ros.compression.tools.tensor_files import read_tensor
    from satllm_ros.compression.wire.setting import CodecSetting

    artefacts = load_artefacts(artefacts_path(args.artefacts))
    activation = read_tensor(args.tensor, args.name)
    if args.bytes_per_image is not None:
        frame, setting = encode_within(activation, artefacts, args.cut, bytes_per_image=args.bytes_per_image)
    else:
        asked = args.setting
        setting = CodecSetting.parse(asked) if asked is not None else within_accuracy(artefacts, args.max_loss)
        frame = encode(activation, setting, artefacts, args.cut)
    args.frame.write_bytes(frame)
    print(f"{args.frame}: {setting}, {len(frame)} bytes, {activation.nbytes / len(frame):.1f}x")
    return 0


def _decompress(args: argparse.Namespace) -> int:
    from satllm_ros.compression.codec import decode
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.compression.tools.tensor_files import write_tensor

    artefacts = load_artefacts(artefacts_path(args.artefacts))
    decoded = decode(args.frame.read_bytes(), artefacts, max_elements=_MAX_ELEMENTS)
    write_tensor(args.tensor, decoded.activation)
    print(f"{args.tensor}: float32 {decoded.activation.shape} at cut {decoded.cut}, {decoded.setting}")
    return 0


def _inspect(args: argparse.Namespace) -> int:
    from satllm_ros.compression.codec import decode
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.compression.tools.estimate import estimate
    from satllm_ros.compression.wire.frame import read_header, split_sections

    artefacts = load_artefacts(artefacts_path(args.artefacts))
    frame = memoryview(args.frame.read_bytes())
    # All of it is decoded first: of a frame that lies, nothing is to be said but the fault.
    decoded = decode(frame, artefacts, max_elements=_MAX_ELEMENTS)
    header = read_header(frame, max_elements=_MAX_ELEMENTS)
    sections = split_sections(frame, header)
    images, tokens, width = header.shape
    chunks = [len(chunk) for chunk in sections.chunks]
    fp32_bytes = decoded.activation.nbytes
    print(f"{header.setting}, cut {header.cut}, {images} images of {tokens} x {width}, P = {header.prefix_tokens}")
    print(f"artefacts {header.artefact_id}, {header.replaced} values replaced")
    print(f"{len(frame)} bytes of {fp32_bytes}: {fp32_bytes / len(frame):.2f}x, {len(frame) / images:.1f} an image")
    print(f"class and register tokens {len(sections.prefix)} bytes, chunks {min(chunks)} to {max(chunks)} bytes")
    found = estimate(header, sections, artefacts)
    if found is not None:
        over = found.stage_bytes / found.bound_bytes - 1 if found.bound_bytes else 0.0
        print(f"{found.symbols} symbols in {found.stage_bytes} bytes, {over:+.1%} of the bound of their model")
        print(f"Eq. 7 estimates {found.eq7_bytes:.0f} bytes, without class tokens, places, ranges and framing")
    return 0
