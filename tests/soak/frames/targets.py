"""All targets."""

from typing import TYPE_CHECKING

from . import targets_data, targets_history, targets_home_assistant, targets_sdp, targets_wire

if TYPE_CHECKING:
    from .target import Target

TARGETS: tuple[Target, ...] = (
    *targets_data.TARGETS,
    *targets_sdp.TARGETS,
    *targets_wire.TARGETS,
    *targets_home_assistant.TARGETS,
    *targets_history.TARGETS,
)
