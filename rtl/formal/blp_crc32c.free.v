// Proof: in place of blp_crc32c, any check at all, so that a frame's own check may match or not in every case.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_crc32c #(
    parameter DATA_W = 64
) (
    input  wire              clk_i,
    input  wire              en_i,
    input  wire [       6:0] index_i,
    input  wire [DATA_W-1:0] data_i,
    output wire [      31:0] crc_d_o,
    output wire [      31:0] crc_q_o
);

  assign crc_d_o = $anyseq;
  assign crc_q_o = $anyseq;

endmodule

`resetall
