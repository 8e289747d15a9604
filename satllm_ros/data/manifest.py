"""What a folder or a bag holds, written down before it is flown: by it a source is known again.

A folder is known by the names and sizes of its images; their contents are compared as they are read. A bag is known by
its files' sizes, its topic's count and times, and a few of its messages: one of 100 GB is not read twice for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from satllm_ros.data.folder import printable

# Kind of what cannot be read again.
CAMERA = "topic"
# Names told in a sentence on what differs.
_TOLD_NAMES = 3


class ManifestError(ValueError):
    """A manifest that makes no sense."""


@dataclass(frozen=True)
class Manifest:
    """What one source held before the run.

    Attributes
    ----------
    kind
        folder, bag or topic: a camera's, which holds nothing and is known as such.
    path
        Where it was then, for people: a source that has moved is the same one.
    entries
        Of a folder its images (path relative to the folder, size [byte]), in the order of their frames; of a bag its
        storage files.
    content
        What else a bag is known by: topic, count, times, sampled messages. Empty for a folder.
    """

    kind: str
    path: str
    entries: tuple[tuple[str, int], ...]
    content: Mapping[str, Any]

    @property
    def source_id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of all but the path."""
        known = json.dumps([self.kind, self.entries, dict(self.content)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(known.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def frames(self) -> int:
        """Frames it is expected to hold."""
        return len(self.entries) if self.kind == "folder" else int(self.content.get("count", 0))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its entries."""
        return tuple(name for name, _ in self.entries)

    def to_json(self) -> dict[str, Any]:
        """For `from_json`; with the source's id, for people."""
        return {
            "id": self.source_id,
            "kind": self.kind,
            "path": self.path,
            "entries": [list(entry) for entry in self.entries],
            "content": dict(self.content),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Manifest:
        """Raises `ManifestError` if it is no manifest, or its id is not that of its content."""
        try:
            made = cls(
                kind=str(document["kind"]),
                path=str(document["path"]),
                entries=tuple((str(name), int(size)) for name, size in document["entries"]),
                content=dict(document["content"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"not a manifest of a source ({error!r})") from None
        if document.get("id") != made.source_id:
            raise ManifestError(f"the manifest's id is {document.get('id')!r}, that of its content {made.source_id!r}")
        return made

    def difference(self, now: Manifest) -> str:
        """How the source differs now, in words that follow "run folder X"; empty if it does not."""
        if self.source_id == now.source_id:
            return ""
        if self.kind != now.kind:
            return f"is of the {self.kind} {self.path}, this is the {now.kind} {now.path}"
        if self.kind == "bag" and self.content.get("topic") != now.content.get("topic"):
            return f"is of topic {self.content.get('topic')} of bag {self.path}, this is {now.content.get('topic')}"
        before, after = dict(self.entries), dict(now.entries)
        gone = [name for name in before if name not in after]
        new = [name for name in after if name not in before]
        changed = [name for name in before if name in after and before[name] != after[name]]
        if not before.keys() & after.keys():
            return f"is of the {self.kind} {self.path}, this is {now.path}, which holds other files"
        what = "image" if self.kind == "folder" else "file"
        parts = [
            f"{len(names)} {what if len(names) == 1 else what + 's'} {words} ({_some(names)})"
            for names, words in ((new, "more"), (gone, "less"), (changed, "of another size"))
            if names
        ]
        if not parts:
            parts = ["other content in files of the same names and sizes"]
        return f"is of the {self.kind} {self.path} as it was; {now.path} now has {', '.join(parts)}"

    def is_carried_on_by(self, now: Manifest) -> bool:
        """Whether a folder that has changed while it was flown is still this one: there, and something of it unchanged.

        What of it has changed is found when it is read.
        """
        same_place = self.kind == now.kind == "folder" and self.path == now.path
        return same_place and bool(set(self.entries) & set(now.entries))


def _some(names: list[str]) -> str:
    return ", ".join(map(printable, names[:_TOLD_NAMES])) + (", ..." if len(names) > _TOLD_NAMES else "")
