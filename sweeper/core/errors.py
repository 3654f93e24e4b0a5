"""The errors of the orchestration that the user can act on; each says given value, rule, remedy."""

from __future__ import annotations

from trainers.errors import UserError


class SweeperError(UserError):
    """Root of every error raised in this package on purpose."""


class ConfigError(SweeperError):
    """`sweeper.toml`, an environment variable or an option cannot be used."""


class DatabaseError(SweeperError):
    """A database cannot be reached, used or started, or it refused a statement."""


class PlanError(SweeperError):
    """A budget, a bracket or a search space contradicts itself."""


class ProtocolMismatch(SweeperError):
    """A relaunch differs from what the sweep froze at its first launch."""


class ClusterError(SweeperError):
    """A Ray cluster cannot be reached, or cannot be used for what was asked."""


class LeaseLost(SweeperError):
    """Another driver has taken the sweep over; nothing of ours may be written any more."""
