"""Bandwidth as fluid flows: max-min fair sharing of pipes, exact in time, an event a change.

CONTRACT (to be implemented by the data-path owner; keep these signatures):

class Pipe:            name: str; capacity_bps: int (bits per second)
class Flow:            done: simpy.Event; size_bytes: int; moved_bytes() -> float; cancel() -> None; bottleneck -> Pipe
class FlowNetwork:
    __init__(env)
    pipe(name, capacity_bps) -> Pipe
    set_capacity(pipe, capacity_bps)            # 0 stalls the flows
    start(pipes, size_bytes, *, weight=1.0, milestones: Sequence[tuple[int, Callable[[], None]]] = ()) -> Flow
        # milestone callbacks fire when that many bytes have moved
    use -> per pipe: bytes carried, busy time (ps, any flow), bound time (ps, flow-time for which the pipe was the bottleneck)
"""
