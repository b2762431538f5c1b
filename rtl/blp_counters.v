// A counter for each of 2**SELECT_W things, one counted a cycle, one read a cycle.
//
// The counts lie in a memory; a bit each says whether it has counted since the reset.
//
// Latency: a count is read from the cycle after it; reading takes none.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_counters #(
    parameter SELECT_W = 7,
    parameter STAT_W   = 32
) (
    input wire clk_i,
    input wire rst_i,

    input  wire                count_i,
    input  wire [SELECT_W-1:0] which_i,
    input  wire [SELECT_W-1:0] read_i,
    output wire [  STAT_W-1:0] stat_o
);

  localparam DEPTH = 1 << SELECT_W;

  reg [STAT_W-1:0] counts[0:DEPTH-1];
  reg [DEPTH-1:0] counted_q;

  wire [STAT_W-1:0] so_far = counted_q[which_i] ? counts[which_i] : {STAT_W{1'b0}};
  assign stat_o = counted_q[read_i] ? counts[read_i] : {STAT_W{1'b0}};

  always @(posedge clk_i) begin
    if (count_i) begin
      counts[which_i]    <= so_far + 1'b1;
      counted_q[which_i] <= 1'b1;
    end
    if (rst_i) counted_q <= {DEPTH{1'b0}};
  end

endmodule

`resetall
