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
- `gpu_reset` and `nic_reset` take what those devices hold; a job that uses them stops.  `level` says how deep a
  nic_reset goes: 0 a live patch that stops nobody, 3 (the default) driver and PCI function, 4 a warm and 5 a cold
  reboot of its node.
- `power_loss` takes the power of a device, of a node with all of its devices, or of a failure domain.
- `link_down` cuts a link: frames are dropped, transfers stall, the job waits.
- `media_loss` destroys what a drive holds.  It comes back empty.
- `plp_failed` is no crash: a drive's capacitors died, so from now on its write cache needs power.
- `throttled` is no crash: a drive's interface carries only `factor` of its rates until `restore_after` has passed.

- `slow` is no crash: each write and Flush of a drive takes `latency` times as long to be answered.
- `no_space`, `quota_exceeded` and `io_error` are no crashes: operations of a device fail with ENOSPC, EDQUOT or EIO
  while it serves on, until `restore_after` has passed, or only the next `operations` of them.  A write takes its room
  as it begins, so the first two strike writes that begin; the third strikes those under way too.
- `upload_failed` is no crash: what the processes of a host write to devices outside its node fails (ETIMEDOUT).

A target that is down already stays down: the longer of the two outages counts.  A fault may strike
during a recovery; the recovery then begins anew.

Source: POSIX.1-2017, write() and fsync(), for the errors and what they say of the bytes.

Not modelled: faults that corrupt resting bytes; reads that fail; Byzantine behaviour; a fault in the middle of
another one's settling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal


class Fault:
    """One fault kind: what it may target, and whether a job that uses the target stops.

    `on`: device or link.  `restores_itself`: without `restore_after` the target comes back after the
    device's own time (False: never).  `errno`: what a device's operations fail with while the fault lasts.
    """

    kind: ClassVar[str] = ""
    on: ClassVar[Literal["device", "link"]] = "device"
    stops_job: ClassVar[bool] = True
    restores_itself: ClassVar[bool] = True
    errno: ClassVar[str | None] = None
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
    """A NIC is reset at one of mstfwreset's levels: connections break, unless it is a live patch (level 0)."""

    LIVE_PATCH: ClassVar[int] = 0
    USUAL: ClassVar[int] = 3  # driver and PCI function
    # level -> what strikes the node instead: its host, or all of it
    REBOOTS: ClassVar[Mapping[int, str]] = {4: KernelCrash.kind, 5: "power_loss"}


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


class Slow(Fault, kind="slow"):
    """A device answers late (a medium that tries again, garbage collection): its latencies are `latency` times as long.

    Its rates, and what it promised, are what they were.
    """

    stops_job = False
    restores_itself = False


class NoSpace(Fault, kind="no_space"):
    """A file system is full: writes that need room fail as they begin (ENOSPC)."""

    stops_job = False
    restores_itself = False
    errno = "ENOSPC"


class QuotaExceeded(Fault, kind="quota_exceeded"):
    """The writer's quota is used up: writes that need room fail as they begin (EDQUOT)."""

    stops_job = False
    restores_itself = False
    errno = "EDQUOT"


class IoError(Fault, kind="io_error"):
    """A device answers writes and Flushes with an error (EIO); what a failed write left is old, new or a mix."""

    stops_job = False
    restores_itself = False
    errno = "EIO"


class UploadFailed(Fault, kind="upload_failed"):
    """What the processes of a host write to devices outside its node fails: the way there, or the client, gave up."""

    stops_job = False
    restores_itself = False
    errno = "ETIMEDOUT"
