"""Fault kinds, one class each.  The fault model:

A fault strikes one or more targets at one instant.  What it takes from each of them is the device's own affair
(`PersistenceDomain.CRASHES`): a device takes a fault kind if and only if it lists it there, and what
survives follows from what its places need.  A strike is atomic in time, and so is one that takes a
whole failure domain.

- `process_crash` kills the training process of a host.  The kernel finishes what was given to it.
- `kernel_crash` stops a host's kernel; the reboot that follows resets the other devices of its node, so
  their own resets strike at the same instant.
- `controller_reset` resets an NVMe controller: the driver requeues what was in flight, so it costs time
  and loses nothing.
- `gpu_reset` and `nic_reset` take what those devices hold; a job that uses them stops.
- `power_loss` takes the power of a device, of a node with all of its devices, or of a failure domain.
- `link_down` cuts a link: frames are dropped, transfers stall, the job waits.
- `media_loss` destroys what a drive holds.  It comes back empty.
- `plp_failed` is no crash: a drive's capacitors died, so from now on its write cache needs power.
- `throttled` is no crash: a drive's interface carries only `factor` of its rates until `restore_after` has passed.

A target that is down already stays down: the longer of the two outages counts.  A fault may strike
during a recovery; the recovery then begins anew.

Not modelled: faults that corrupt resting bytes; operations that fail while their device
lives (no space, I/O errors); Byzantine behaviour; a fault in the middle of another one's settling.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class Fault:
    """One fault kind: what it may target, and whether a job that uses the target stops.

    `on`: device or link.  `restores_itself`: without `restore_after` the target comes back after the
    device's own time (False: never).
    """

    kind: ClassVar[str] = ""
    on: ClassVar[Literal["device", "link"]] = "device"
    stops_job: ClassVar[bool] = True
    restores_itself: ClassVar[bool] = True
    registry: ClassVar[dict[str, type[Fault]]] = {}

    def __init_subclass__(cls, kind: str, **rest: object) -> None:
        super().__init_subclass__(**rest)
        if kind in Fault.registry:
            raise AssertionError(f"two fault kinds are named {kind!r}")
        cls.kind = kind
        Fault.registry[kind] = cls


class ProcessCrash(Fault, kind="process_crash"):
    """The training process of a host is killed (SIGKILL, out of memory); its user-space buffers are gone."""


class KernelCrash(Fault, kind="kernel_crash"):
    """A host's kernel panics and the machine reboots warm: the other devices of its node are reset with it."""

    RESETS: ClassVar[tuple[str, ...]] = ("controller_reset", "gpu_reset", "nic_reset")  # whichever a device takes


class ControllerReset(Fault, kind="controller_reset"):
    """An NVMe controller is reset: commands in flight are requeued, nothing completed is lost, the job waits."""

    stops_job = False


class GpuReset(Fault, kind="gpu_reset"):
    """A GPU is reset, or met a fatal Xid: what its memory held is gone."""


class NicReset(Fault, kind="nic_reset"):
    """A NIC's firmware or PCI function is reset: connections break."""


class PowerLoss(Fault, kind="power_loss"):
    """The power of a device, a node or a failure domain goes; it comes back only after `restore_after`."""

    restores_itself = False


class LinkDown(Fault, kind="link_down"):
    """A link is cut: frames are dropped, transfers stall."""

    on = "link"
    stops_job = False
    restores_itself = False


class MediaLoss(Fault, kind="media_loss"):
    """A drive dies and is replaced by an empty one."""

    restores_itself = False


class PlpFailed(Fault, kind="plp_failed"):
    """A drive's power-loss capacitors died in service (SMART critical warning, bit 4): it says PLP and has none."""

    stops_job = False
    restores_itself = False


class Throttled(Fault, kind="throttled"):
    """A drive serves on at `factor` of its interface's rates (heat, a cap of its owner); what it promised holds."""

    stops_job = False
    restores_itself = False
