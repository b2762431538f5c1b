// Proof: the rules of a stream, asserted of one that a module drives, or assumed of one that it is given (GIVEN 1).
//
// A word offered stays as it is until it is taken; its octets that count are a run from the low end, at least one;
// only a frame's last word may be short.  A reset ends every promise.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module axis_rules #(
    parameter DATA_W = 64,
    parameter GIVEN  = 0
) (
    input wire                clk_i,
    input wire                rst_i,
    input wire [  DATA_W-1:0] tdata_i,
    input wire [DATA_W/8-1:0] tkeep_i,
    input wire                tvalid_i,
    input wire                tready_i,
    input wire                tlast_i,
    input wire                tuser_i
);

  localparam KEEP_W = DATA_W / 8;

  wire [DATA_W+KEEP_W+1:0] offer = {tdata_i, tkeep_i, tlast_i, tuser_i};
  reg [DATA_W+KEEP_W+1:0] offer_q;
  reg standing_q;
  initial standing_q = 1'b0;

  always @(posedge clk_i) begin
    offer_q    <= offer;
    standing_q <= tvalid_i && !tready_i && !rst_i;
  end

  wire stays = !standing_q || (tvalid_i && offer == offer_q);
  wire shaped = !tvalid_i || (tkeep_i[0] && (tkeep_i & (tkeep_i + 1'b1)) == 0 && (tlast_i || &tkeep_i));

  always @(posedge clk_i) begin
    if (GIVEN != 0) begin
      assume (stays);
      assume (shaped);
    end else begin
      assert (stays);
      assert (shaped);
      cover (standing_q && tready_i && tlast_i);
    end
  end

endmodule

`resetall
