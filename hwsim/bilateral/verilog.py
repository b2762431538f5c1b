"""The transition table as Verilog: names, one module that finds the row, one that makes the register it writes.

`python -m hwsim.bilateral.verilog rtl` writes the three files; they are checked in, and a test compares them with
what this module makes of the table today.  What a row's acts do to the volatile bits is the endpoint's own.

Source: `hwsim.bilateral.table`.  Verilog-2005, IEEE Std 1364-2005.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from hwsim.bilateral.table import ACTS, ASKED, OBSERVABLES, TABLE, WRITES, Event, Phase, Row, State

DROPS: Final = tuple(dict.fromkeys(row.drop for row in TABLE if row.drop))
# How wide each field of the register is, in the parameters' words; a slot is {valid, length, payload}.
WIDTHS: Final[Mapping[str, str]] = {
    "nvid": "NVID_W",
    "peer": "NVID_W",
    "round": "ROUND_W",
    "phase": "2",
    "slot": "SLOT_W",
    "epoch": "EPOCH_W",
    "inbox": "SLOT_W",
    "inbox_round": "ROUND_W",
}
_INPUTS: Final[Mapping[str, str]] = {"frame": "frame_i", "app": "app_i", "sender": "sender_i", "fresh": "fresh_i"}

MADE = "// Made from the transition table by `python -m hwsim.bilateral.verilog rtl`: do not edit.\n"
HEAD = "`resetall\n`timescale 1ns / 1ps\n`default_nettype none\n"
TAIL = "`resetall\n"


def bits_for(values: int) -> int:
    """How many bits number that many values."""
    return max(1, (values - 1).bit_length())


def code(kind: str, name: str) -> str:
    """The Verilog name of a value."""
    return f"{kind}_{name}".upper()


def _numbered(kind: str, values: Sequence[str]) -> Iterator[str]:
    width = bits_for(len(values))
    yield f"localparam {kind.upper()}_W = {width};"
    for number, value in enumerate(values):
        yield f"localparam [{width - 1}:0] {code(kind, value)} = {width}'d{number};"


def names() -> str:
    """`blp_table.vh`: a number for every state, event, observable's value, write, act, reason to drop, and row."""
    lines = list(_numbered("state", tuple(State)))
    lines += ["", *_numbered("event", tuple(Event)), ""]
    lines += [f"localparam [1:0] {code('phase', phase.name)} = 2'd{phase.value};" for phase in Phase]
    for name, values in OBSERVABLES.items():
        lines += ["", *_numbered(name, values)]
    lines += ["", "// What is written; NONE: nothing.", *_numbered("write", ("none", *WRITES))]
    lines += ["", "// Acts: which bit of the vector.", f"localparam ACTS = {len(ACTS)};"]
    lines += [f"localparam {code('act', act)} = {number};" for number, act in enumerate(ACTS)]
    lines += ["", "// Why a frame that changes nothing is counted; NONE: it is not."]
    lines += _numbered("drop", ("none", *DROPS))
    lines += ["", f"localparam ROWS = {len(TABLE)};", *_numbered("row", tuple(row.name for row in TABLE))]
    body = "\n".join(lines)
    return (
        f"{MADE}// verilator lint_off UNUSEDPARAM\n// Not every module asks for every name.\n{body}\n"
        "// verilator lint_on UNUSEDPARAM\n"
    )


def _condition(row: Row) -> str:
    terms = []
    if set(row.states) != set(State):
        terms.append(_one_of("state_i", "state", row.states, tuple(State)))
    for name, allowed in row.when.items():
        if set(allowed) != set(OBSERVABLES[name]):
            terms.append(_one_of(f"{name}_i", name, allowed, OBSERVABLES[name]))
    return terms[0].strip("()") if len(terms) == 1 else " &&\n            ".join(terms) or "1'b1"


def _one_of(port: str, kind: str, allowed: Sequence[str], every: Sequence[str]) -> str:
    others = [value for value in every if value not in allowed]
    if len(others) < len(allowed):
        return " && ".join(f"{port} != {code(kind, value)}" for value in others)
    either = " || ".join(f"{port} == {code(kind, value)}" for value in allowed)
    return f"({either})" if len(allowed) > 1 else either


def table() -> str:
    """`blp_table.v`: from state, event and observables, without a clock, the row that applies and what it does."""
    inputs = {"state": len(State), "event": len(Event)}
    inputs |= {name: len(values) for name, values in OBSERVABLES.items()}
    ports = [f"    input  wire {_range(bits_for(values))}{name}_i," for name, values in inputs.items()]
    outputs = {"row": bits_for(len(TABLE)), "write": bits_for(len(WRITES) + 1), "acts": len(ACTS)}
    outputs |= {"drop": bits_for(len(DROPS) + 1)}
    ports += [",\n".join(f"    output reg  {_range(bits)}{name}_o" for name, bits in outputs.items())]
    cases = []
    for event in Event:
        asked = ", ".join(ASKED[event]) or "nothing"
        cases.append(f"      {code('event', event)}: begin  // asks about {asked}")
        for row in TABLE:
            if row.event is event:
                done = [f"row_o = {code('row', row.name)};"]
                done += [f"write_o = {code('write', row.write)};"] if row.write else []
                done += [f"acts_o[{code('act', act)}] = 1'b1;" for act in row.acts]
                done += [f"drop_o = {code('drop', row.drop)};"] if row.drop else []
                cases.append(f"        if ({_condition(row)}) begin")
                cases += [f"          {line}" for line in done]
                cases.append("        end")
        cases.append("      end")
    return "\n".join([
        MADE + HEAD,
        "// Of the rows of an event exactly one applies.",
        "module blp_table (",
        *ports,
        ");",
        "",
        '`include "blp_table.vh"',
        "",
        "  always @* begin",
        f"    row_o   = {bits_for(len(TABLE))}'d0;",
        "    write_o = WRITE_NONE;",
        f"    acts_o  = {len(ACTS)}'d0;",
        "    drop_o  = DROP_NONE;",
        "    case (event_i)",
        *cases,
        "      default: ;",
        "    endcase",
        "  end",
        "",
        "endmodule",
        "",
        TAIL,
    ])  # fmt: skip


def _range(bits: int) -> str:
    return (f"[{bits - 1}:0] " if bits > 1 else "").ljust(7)


def _high(width: str) -> str:
    return str(int(width) - 1) if width.isdigit() else f"{width}-1"


def _value(field: str, source: str) -> str:
    match source:
        case "+1":
            return f"{field}_i + 1'b1"
        case "empty" | "zero":
            return f"{{{WIDTHS[field]}{{1'b0}}}}"
        case "this_round":
            return "round_i"
        case _:
            return _INPUTS.get(source) or code("phase", source)


def writes() -> str:
    """`blp_write.v`: the register after a write, without a clock; a field not named in the write keeps its value."""
    parameters = ["NVID_W = 64", "ROUND_W = 16", "EPOCH_W = 64", "SLOT_W = 198"]
    ports = [f"    input  wire [{bits_for(len(WRITES) + 1) - 1}:0] write_i,"]
    ports += [f"    input  wire [{_high(width)}:0] {field}_i," for field, width in WIDTHS.items()]
    ports += [
        "    input  wire [SLOT_W-1:0] frame_i,   // the received frame's payload",
        "    input  wire [SLOT_W-1:0] app_i,     // what the application gives",
        "    input  wire [NVID_W-1:0] sender_i,  // the received frame's source",
        "    input  wire [NVID_W-1:0] fresh_i,   // a new identity",
    ]
    outputs = [f"    output reg  [{_high(width)}:0] {field}_o" for field, width in WIDTHS.items()]
    cases = []
    for name, changes in WRITES.items():
        cases.append(f"      {code('write', name)}: begin")
        cases += [f"        {field}_o = {_value(field, source)};" for field, source in changes.items()]
        cases.append("      end")
    return "\n".join([
        MADE + HEAD,
        "// A slot is {valid, length, payload}; an empty one is all zeros.",
        "module blp_write #(",
        ",\n".join(f"    parameter {parameter}" for parameter in parameters),
        ") (",
        *ports,
        ",\n".join(outputs),
        ");",
        "",
        '`include "blp_table.vh"',
        "",
        "  always @* begin",
        *(f"    {field}_o = {field}_i;" for field in WIDTHS),
        "    case (write_i)",
        *cases,
        "      default: ;",
        "    endcase",
        "  end",
        "",
        "endmodule",
        "",
        TAIL,
    ])  # fmt: skip


FILES: Final[Mapping[str, Callable[[], str]]] = {"blp_table.vh": names, "blp_table.v": table, "blp_write.v": writes}

if __name__ == "__main__":
    for file, make in FILES.items():
        (Path(sys.argv[1]) / file).write_text(make(), encoding="utf-8")
