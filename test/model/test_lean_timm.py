"""timm comes without PyTorch's compiler, with it where it must, and leaves it to whoever wants it later."""

import subprocess
import sys

BEFORE = "import sys; from satllm_ros.model import lean_timm; "
ARCHITECTURES = (
    *("vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "vit_small_patch14_dinov2", "eva02_tiny_patch14_224"),
    *("beit_base_patch16_224", "vit_relpos_small_patch16_224"),
)


def run(code: str) -> str:
    """What a Python of its own prints."""
    ended = subprocess.run([sys.executable, "-c", BEFORE + code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_it_is_imported_without_the_compiler_which_can_be_had_afterwards() -> None:
    said = run(
        "from satllm_ros.model import structure; "
        "print([name for name in ('torch._dynamo', 'sympy', 'triton') if name in sys.modules]); "
        "import torch, torchvision; "
        "boxes = torch.tensor([[0., 0., 0., 4., 4.]], requires_grad=True); "
        "print(torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), boxes, 2).shape); "
        "import torch._dynamo; print(torch._dynamo.disable.__module__)"
    )
    assert said.splitlines() == ["[]", "torch.Size([1, 1, 2, 2])", "torch._dynamo.decorators"]


def test_nor_do_models_that_are_built_without_memory_need_it() -> None:
    said = run(
        "from satllm_ros.model.structure import build_meta, measure_geometry; "
        f"built = [measure_geometry(build_meta(name, dict(num_classes=3))) for name in {ARCHITECTURES}]; "
        "print([geometry.blocks for geometry in built], 'torch._dynamo' in sys.modules)"
    )
    assert said == f"{[12] * len(ARCHITECTURES)} False"


def test_where_more_is_asked_of_the_stand_in_timm_is_imported_with_the_compiler() -> None:
    assert (
        run(
            "lean_timm._as_it_is = None; "
            "timm = lean_timm.import_timm(); "
            "print('torch._dynamo' in sys.modules, timm.create_model('vit_tiny_patch16_224').num_classes)"
        )
        == "True 1000"
    )


def test_whoever_has_the_compiler_keeps_it() -> None:
    assert (
        run(
            "import torch._dynamo as compiler; lean_timm.import_timm(); print(sys.modules['torch._dynamo'] is compiler)"
        )
        == "True"
    )
