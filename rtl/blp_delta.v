// A frame's round against mine, modulo 2**WINDOW_W: half a window back is the past, the rest the future.
//
// Latency: none.  With a single bit (which only a wire that keeps the order can bear) the next round and the previous
// one look alike: who is bound waits for the next, who is open knows only the previous.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_delta #(
    parameter WINDOW_W = 16
) (
    input  wire [WINDOW_W-1:0] theirs_i,
    input  wire [WINDOW_W-1:0] mine_i,
    input  wire                bound_i,
    output wire [         2:0] delta_o
);

`include "blp_table.vh"

  wire [WINDOW_W-1:0] distance = theirs_i - mine_i;
  wire same = distance == {WINDOW_W{1'b0}};
  wire previous = &distance;

  generate
    if (WINDOW_W == 1) begin : g_bit
      assign delta_o = same ? DELTA_SAME : bound_i ? DELTA_NEXT : DELTA_PREVIOUS;
    end else begin : g_window
      wire next = distance == {{WINDOW_W - 1{1'b0}}, 1'b1};
      wire unused = bound_i;
      assign delta_o = same ? DELTA_SAME : next ? DELTA_NEXT : previous ? DELTA_PREVIOUS
                     : distance[WINDOW_W-1] ? DELTA_PAST : DELTA_FUTURE;
    end
  endgenerate

endmodule

`resetall
