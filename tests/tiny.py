"""The least topology that shows a mixture: what commands are tried on, in milliseconds."""

TINY = """\
version: 1
name: tiny
seed: 3
horizon: 20s
devices:
  d: {kind: abstract, count: 3, persist: {uniform: [0s, 200ms]}}
workload:
  kind: checkpoint
  interval: 1s
  shards:
    - {to: "d*"}
protocol: {kind: in_place}
"""
