"""The bilateral link: two endpoints, each a crash domain, that agree round by round who owns what.

`table` says what happens when, and `machine` executes it; `wire` says where every field of a frame lies,
`frame` codes frames as octets, `scapy_layers` does it a second time for people and tests, `channel` carries
octets and spoils them as `damage` says.  `endpoint` is an end in a running simulation, `record` its register in
memory, `live` a link with both of them; `judged` reads from a trace what became of rounds and tokens.  `exchange` is
another, smaller protocol on the same channel.  `verilog` writes the table for the hardware in `rtl/`.
"""
