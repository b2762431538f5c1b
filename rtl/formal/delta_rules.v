// Proof: a round is told apart from mine as the protocol says, for every two rounds.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module delta_rules #(
    parameter WINDOW_W = 16
) (
    input wire                clk_i,
    input wire [WINDOW_W-1:0] theirs_i,
    input wire [WINDOW_W-1:0] mine_i,
    input wire                bound_i
);

`include "blp_table.vh"

  localparam HALF = 1 << (WINDOW_W - 1);

  wire [2:0] delta;

  blp_delta #(
      .WINDOW_W(WINDOW_W)
  ) dut (
      .theirs_i(theirs_i),
      .mine_i  (mine_i),
      .bound_i (bound_i),
      .delta_o (delta)
  );

  // How many rounds theirs is ahead, from none to a window less one.
  wire [31:0] theirs = theirs_i, mine = mine_i;
  wire [31:0] ahead = theirs >= mine ? theirs - mine : theirs + 2 * HALF - mine;

  always @(posedge clk_i) begin
    if (ahead == 0) assert (delta == DELTA_SAME);
    else if (HALF == 1) assert (delta == (bound_i ? DELTA_NEXT : DELTA_PREVIOUS));
    else if (ahead == 1) assert (delta == DELTA_NEXT);
    else if (ahead == 2 * HALF - 1) assert (delta == DELTA_PREVIOUS);
    else if (ahead < HALF) assert (delta == DELTA_FUTURE);
    else assert (delta == DELTA_PAST);

    cover (delta == DELTA_SAME);
    cover (delta == DELTA_NEXT);
    cover (delta == DELTA_PREVIOUS);
    if (HALF > 1) cover (delta == DELTA_FUTURE);
    if (HALF > 1) cover (delta == DELTA_PAST);
  end

endmodule

`resetall
