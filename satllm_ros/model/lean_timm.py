"""timm without PyTorch's compiler, which nothing here uses.

`import timm` imports torchvision, and both ask `torch._dynamo` something while they are imported: torchvision takes a
function that its operators call when they run, timm marks functions of models that are none of ours as not to be
compiled. For that, all of the compiler is imported, with sympy and triton: 2.7 s of a core and 145 MB that a satellite
never uses again (torch 2.14, timm 1.0.31). So somebody stands in for it until timm is there. Whoever wants the compiler
afterwards imports the real one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


def import_timm() -> ModuleType:
    """timm, imported without the compiler if that can be.

    Raises
    ------
    ImportError
        If it cannot be imported with the compiler either.
    """
    if "timm" not in sys.modules and COMPILER not in sys.modules:
        try:
            with without_compiler():
                return importlib.import_module("timm")
        # Another version may ask for more.
        except (ImportError, AttributeError, TypeError):
            for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
                del sys.modules[name]
    return importlib.import_module("timm")


@contextmanager
def without_compiler() -> Iterator[None]:
    """What is done with it needs no compiler: to import timm, to use tensors on torch's meta device.

    Functions for tensors without memory are written in Python, and ask not to be compiled when they are first called.
    """
    if COMPILER in sys.modules:
        yield
        return
    modules = _stand_ins()
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)


def _stand_ins() -> dict[str, ModuleType]:
    compiler, utils = ModuleType(COMPILER), ModuleType(f"{COMPILER}.utils")
    compiler.__path__ = []
    compiler.disable = _as_it_is  # type: ignore[attr-defined]
    utils.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    return {compiler.__name__: compiler, utils.__name__: utils}


def _as_it_is(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    return function


def _is_compile_supported(*arguments: Any) -> Any:
    # Kept by torchvision's operators, asked when they run.
    return importlib.import_module(f"{COMPILER}.utils").is_compile_supported(*arguments)
