"""Processes that train one model together, as `torchrun` starts them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Ranks:
    """This process (`rank`, from 0) among `world` that train together; alone unless `torchrun` says otherwise.

    Each computes the gradients of its share of every batch; their mean moves the weights, which so stay equal.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that measures, writes and talks."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch's indices (n,)."""
        return batch.tensor_split(self.world)[self.rank]

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in place."""
        if self.world == 1:
            return
        for tensor in tensors:
            distributed.all_reduce(tensor)
            tensor /= self.world

    def take_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first process, in place."""
        if self.world > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the processes that `torchrun` started beside this one, if it did; over NCCL with GPUs, else over Gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
