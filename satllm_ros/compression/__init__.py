"""Compression of the activation that crosses a cut: codec settings, scales, frame format, calibration.

`codec.encode` and `codec.decode` are the two functions the rest of the package calls; the bytes between them
are described in docs/wire-format.md. Needs numpy, zstandard and safetensors; torch only inside functions of
`calibration`.
"""
