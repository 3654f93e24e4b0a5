"""Passwords of database URLs, kept out of whatever is shown or stored."""

from __future__ import annotations

import re

IN_PLACE = re.compile(r"(://[^\s:/@]*:).*@")
IN_QUERY = re.compile(r"(password=)[^\s&'\"]+")


def mask_passwords(text: str) -> str:
    """Return any text, for example a command line, with the password of every URL as `***`."""
    return IN_QUERY.sub(r"\1***", IN_PLACE.sub(r"\1***@", text))
