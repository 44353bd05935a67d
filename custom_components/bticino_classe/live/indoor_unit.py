"""The indoor unit of an intercom as something to call from Home Assistant (call home)."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..client import ModuleKind

if TYPE_CHECKING:
    from ..client import Module

_SUFFIX: Final = "/indoor-unit"  # in no id of the cloud: the client replaces those with a slash


def indoor_unit(intercom: Module) -> Module:
    """Return the indoor unit of an intercom, which is called by the intercom's own id.

    Like a CCTV camera, it sends no rings that could be answered. Protocol.md 3.8: verified on a
    100X16E only.
    """
    return replace(
        intercom,
        id=f"{intercom.id}{_SUFFIX}",
        kind=ModuleKind.CAMERA,
        bridge_id=intercom.id,
        cloud_id=intercom.sent_id,
        cloud_bridge_id=intercom.sent_id,
    )


def is_indoor_unit(camera: Module) -> bool:
    """Whether a camera is the indoor unit of an intercom."""
    return camera.id.endswith(_SUFFIX)
