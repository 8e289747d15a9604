"""Files of two-line element sets: pairs of lines, each with a name before them or not (CelesTrak's TLE and 2LE)."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.documents.section import DocumentError
from satllm_ros.orbit.scenario import ElementSet

_LINE_LENGTH = 69


def read_elements(path: Path) -> tuple[ElementSet, ...]:
    """Element sets of a file, in its order.

    Raises
    ------
    DocumentError
        If it cannot be read, has none, or one of them lacks a line or has a wrong checksum.
    """
    try:
        lines = [line.rstrip() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"element sets {path.name} cannot be read: {error}") from error
    found: list[ElementSet] = []
    place = 0
    while place < len(lines):
        name = ""
        if not _is_line(lines[place], "1"):
            name = lines[place].removeprefix("0 ").strip()
            place += 1
        pair = lines[place : place + 2]
        number = len(found) + 1
        what = f"{path.name}: element set {number}" + (f" ({name})" if name else "")
        for digit, line in zip("12", [*pair, "", ""][:2], strict=True):
            if not _is_line(line, digit):
                raise DocumentError(f"{what} has no line {digit}; two of {_LINE_LENGTH} characters are needed")
            if _checksum(line) != line[-1]:
                raise DocumentError(f"{what}: line {digit} ends with {line[-1]}, not {_checksum(line)}, its checksum")
        if pair[0][2:7] != pair[1][2:7]:
            raise DocumentError(f"{what}: its lines are of satellites {pair[0][2:7]} and {pair[1][2:7]}")
        found.append(ElementSet(name or pair[0][2:7].strip(), *pair))
        place += 2
    if not found:
        raise DocumentError(f"{path.name} has no element set; pairs of lines are needed")
    return tuple(found)


def _is_line(line: str, digit: str) -> bool:
    return len(line) == _LINE_LENGTH and line.startswith(f"{digit} ")


def _checksum(line: str) -> str:
    """Sum of all digits but the last, a minus counting 1, modulo 10."""
    return str(sum(int(c) if c.isdigit() else c == "-" for c in line[:-1]) % 10)
