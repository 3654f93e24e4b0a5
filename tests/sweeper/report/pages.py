"""A page that was written, to be read part by part."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Written = Callable[..., "Page"]


@dataclass
class Page:
    """A page that was written, and its parts."""

    folder: Path
    text: str

    @property
    def body(self) -> str:
        """What people see: without data, library and style."""
        return re.sub(r"<(script|style).*?</\1>", "", self.text, flags=re.DOTALL)

    def section(self, name: str) -> str:
        """The text of one section."""
        [found] = re.findall(rf'<section id="{name}".*?</section>', self.body, re.DOTALL)
        return str(found)

    @property
    def figures(self) -> dict[str, dict[str, object]]:
        """The figures by name."""
        blocks = re.findall(r'data-json="([^"]+)">(.*?)</script>', self.text, re.DOTALL)
        return {name: json.loads(block) for name, block in blocks}
