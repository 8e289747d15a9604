"""Sources that are not what they were: grown, changed, damaged, or of another model than the run's."""

import re
import subprocess
from pathlib import Path

from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.rig import Rig
from flight import up
from tiny_material import encoded, picture, save_codec, save_model

# Pictures that no flight carries.
FOREIGN = 100_000
REFUSED = 2
# So slow that sensing has not read everything when it is killed.
SLOW_BLOCK_S = 0.05


def another_model(hangar: Hangar, scenario: str, *, tiles: int) -> Result:
    """A run folder is used again with another model: refused before anything starts, its rows as they were."""
    cargo = hangar.workshop.cargo(tiles)
    folder = hangar.folder("another model")
    checkpoint = save_model(folder / "other.safetensors", seed=2, blocks=hangar.workshop.spec.blocks)
    artefacts = save_codec(folder / "other.codec.safetensors", checkpoint, cargo.material.checkpoint.parent / "images")
    with hangar.fly(cargo) as rig:
        code = rig.until_ended()
        config = rig.flight.runs.parent / "constellation.yaml"
        model = f"checkpoint: {cargo.material.checkpoint}\n  artefacts: {cargo.material.artefacts}"
        text = config.read_text()
        assert model in text
        config.write_text(text.replace(model, f"checkpoint: {checkpoint}\n  artefacts: {artefacts}"))
        said = _again(rig, config)
        complaints = () if "is of model" in said else (f"the other model was not refused: {said!r}",)
        return rig.result(scenario, cargo, code, complaints=complaints, note=_without_folders(said))


def growing(hangar: Hangar, scenario: str, *, tiles: int) -> Result:
    """A folder grows, at its front too, while it flies and sensing is killed: the run's own images come down."""
    folder = hangar.folder("growing") / "images"
    cargo = hangar.workshop.folder(folder, tiles)
    with hangar.fly(cargo, "--respawn", "--images", str(folder), block_s=SLOW_BLOCK_S) as rig:
        rig.until_batches(2)
        for name in ("0.jpg", "00003a.jpg", "99999.jpg"):
            (folder / name).write_bytes(encoded(picture(FOREIGN)))
        fault_s = rig.kill("sensing")
        recovery_s = rig.until_recovered(fault_s)
        code = rig.until_ended()
        said = _again(rig, rig.flight.runs.parent / "constellation.yaml", "--images", str(folder))
        complaints = () if "3 images more" in said else (f"the grown folder was not refused: {said!r}",)
        return rig.result(
            scenario, cargo, code, complaints=complaints, recovery_s=recovery_s, note=_without_folders(said)
        )


def changed(hangar: Hangar, scenario: str, *, tiles: int) -> Result:
    """Files that came down are other ones, of the same size, when sensing's next life reads them again.

    They are dropped then, and their rows stay what they were: everything that the run began with is on the ground.
    """
    folder = hangar.folder("changed") / "images"
    cargo = hangar.workshop.folder(folder, tiles)
    options = ("--respawn", "--images", str(folder))
    with hangar.fly(cargo, *options, block_s=SLOW_BLOCK_S) as rig:
        rig.until_batches(2)
        fault_s = rig.kill("sensing")
        for file in sorted(folder.iterdir())[:4]:
            file.write_bytes(_of_size(encoded(picture(FOREIGN)), file.stat().st_size))
        recovery_s = rig.until_recovered(fault_s)
        code = rig.until_ended()
        dropped = _cause(rig, "source_changed")
        complaints = () if dropped == 4 else (f"{dropped} of 4 changed files were counted",)
        return rig.result(
            scenario,
            cargo,
            code,
            complaints=complaints,
            recovery_s=recovery_s,
            note=f"{dropped} dropped as source_changed when they were read again",
        )


def unreadable(hangar: Hangar, scenario: str, *, tiles: int) -> Result:
    """A file in the middle cannot be read, another is no image: they are counted by name, the others come down."""
    folder = hangar.folder("unreadable") / "images"
    cargo = hangar.workshop.folder(folder, tiles)
    with hangar.fly(cargo, "--images", str(folder)) as rig:
        broken = [folder / f"{tiles - 2:05}.jpg", folder / f"{tiles - 4:05}.jpg"]
        broken[0].unlink()
        broken[1].write_bytes(b"x" * broken[1].stat().st_size)
        code = rig.until_ended()
        dropped = _cause(rig, "unreadable_image")
        named = [file.name for file in broken if file.name in rig.flight.errors]
        complaints = () if (dropped, len(named)) == (2, 2) else (f"{dropped} of 2 counted, {len(named)} of 2 named",)
        return rig.result(
            scenario,
            cargo,
            code,
            expected_code=1,
            losses_told=dropped,
            complaints=complaints,
            note=f"{dropped} dropped as unreadable_image",
        )


def _again(rig: Rig, config: Path, *options: str) -> str:
    """What `satllm up` says, refusing to go on with the folder of a flight that has ended; empty if it does not."""
    command = [str(word) for word in up(config, "--run", rig.flight.latest, *options)]
    # `--runs` and `--run` exclude one another.
    place = command.index("--runs")
    del command[place : place + 2]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return ended.stderr.strip() if ended.returncode == REFUSED else ""


def _cause(rig: Rig, cause: str) -> int:
    return max((dict(zip(x.causes, x.cause_counts, strict=True)).get(cause, 0) for x in rig.ledgers), default=0)


def _of_size(image: bytes, size: int) -> bytes:
    """The same picture in a file of so many bytes: what follows a JPEG's end is not looked at."""
    return image + b"\0" * (size - len(image)) if len(image) <= size else b"x" * size


def _without_folders(said: str) -> str:
    """Where something lay on this computer is nobody's business."""
    return re.sub(r"/\S*/", "", said)
