"""Whether a sweep's comparison is fair: every rule that the store can tell, checked from it."""

from __future__ import annotations

from sweeper.audit.run import Audit, require_sound, run_audit

__all__ = ["Audit", "require_sound", "run_audit"]
