"""Positions made from small tables, inside a graph that is being traced.

What blocks add for positions grows with the square of the tokens, and what it is made from does not. If it were
constant, PyTorch's exporter and ONNX Runtime would both compute it in advance and keep the large table, once a block.
So the small tables are made to depend on the input, by a zero that is known only when a batch is there.

Each class here looks at what timm has made before anything is traced, and gives the same again in the trace.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

INDEX = "relative_position_index"


def batch_zero(x: Tensor) -> Tensor:
    """Zero, by way of the number of tiles."""
    return torch.as_tensor(x.size(0)) * 0


class RelativeIndices:
    """The indices of relative positions that a model has, each of (S, S) or flat, as differences of a number a token.

    Tokens of the grid differ by a number that belongs to the distance between them. A class token before them has
    numbers of its own, in the first row and column.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [module for module in model.modules() if module._buffers.get(INDEX) is not None]
        self._made = [_differences(module._buffers[INDEX]) for module in self._modules]

    def trace_in(self, zero: Tensor) -> None:
        """Put traced indices where the model has those that timm made."""
        for module, made in zip(self._modules, self._made, strict=True):
            module._buffers[INDEX] = made.trace(zero)


class _Index:
    """An index as it is: of a kind that is not known here."""

    def __init__(self, index: Tensor) -> None:
        self._index = index

    def trace(self, zero: Tensor) -> Tensor:
        return self._index + zero


class _Differences:
    """An index that is number[i] - number[j] + middle, after a first row and column of `prefix` tokens."""

    def __init__(self, square: Tensor, prefix: int, shape: torch.Size) -> None:
        grid = square[prefix:, prefix:]
        self._number, self._middle = (grid[:, 0] - grid[0, 0]).clone(), int(grid[0, 0])
        self._row, self._column = square[:prefix].clone(), square[prefix:, :prefix].clone()
        self._prefix, self._shape = prefix, shape
        self.is_right = torch.equal(self.trace(torch.zeros((), dtype=square.dtype)), square.reshape(shape))

    def trace(self, zero: Tensor) -> Tensor:
        number = self._number + zero
        made = number[:, None] - number[None, :] + self._middle
        if self._prefix:
            made = torch.cat((self._row, torch.cat((self._column, made), dim=1)), dim=0)
        return made.reshape(self._shape)


def _differences(index: Tensor | None) -> _Index | _Differences:
    assert index is not None
    tokens = round(index.numel() ** 0.5)
    square = index.reshape(tokens, tokens)
    for prefix in (0, 1):
        made = _Differences(square, prefix, index.shape)
        if made.is_right:
            return made
    return _Index(index)


class AxialAngles:
    """A table of rotary angles (rows x columns, C), put together from one of rows and one of columns.

    Every angle is of one axis. A table of which that is not true stays as it is.
    """

    def __init__(self, table: Tensor, grid: tuple[int, int]) -> None:
        rows, columns = grid
        self._grid, self._table = grid, table
        cells = table.reshape(rows, columns, -1)
        by_row = (cells == cells[:, :1]).flatten(0, 1).all(dim=0)
        by_column = (cells == cells[:1]).flatten(0, 1).all(dim=0)
        self._is_axial = bool((by_row | by_column).all())
        self._of_rows, self._of_columns = cells[:, :1, by_row].clone(), cells[:1, :, ~by_row].clone()
        self._order = torch.cat((by_row.nonzero(), (~by_row).nonzero())).flatten().argsort()

    def trace(self, zero: Tensor) -> Tensor:
        """The table, traced."""
        if not self._is_axial:
            return self._table
        zero = zero.to(self._table.dtype)
        rows, columns = self._grid
        of_rows = (self._of_rows + zero).expand(rows, columns, -1)
        of_columns = (self._of_columns + zero).expand(rows, columns, -1)
        return torch.cat((of_rows, of_columns), dim=2).reshape(rows * columns, -1).index_select(1, self._order)


class MixedAngles:
    """Rotary angles (heads, S, C) of one block that has frequencies of its own, computed from those.

    Computed by hand, with axes counted from the front: of timm's own lines PyTorch's exporter makes a wrong graph,
    since two operations with the axis -1 share a constant that one of them changes.
    """

    def __init__(self, rope: Any, table: Tensor, block: int) -> None:
        frequencies = rope.freqs.detach()[:, block - 1].clone()
        heads, pairs = frequencies.shape[1:]
        self._of_x, self._of_y = (one.reshape(heads, 1, pairs) for one in frequencies)
        self._x, self._y = (places.reshape(1, -1, 1) for places in (rope.t_x, rope.t_y))
        self._twice = torch.arange(pairs).repeat_interleave(2)
        self._table = table
        self._is_so = torch.equal(self._compute(torch.zeros(())), table)

    def trace(self, zero: Tensor) -> Tensor:
        """The table, traced; of a version of timm that computes it in another way, as it is."""
        return self._compute(zero.to(self._table.dtype)) if self._is_so else self._table

    def _compute(self, zero: Tensor) -> Tensor:
        angles = self._x * (self._of_x + zero) + self._y * (self._of_y + zero)
        halves = [half.index_select(2, self._twice) for half in (angles.sin(), angles.cos())]
        return torch.cat(halves, dim=2)
