// Proof: in place of crc32, any value at all, anew in each cycle.  What is proven with it holds whatever the CRC is.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module crc32 #(
    parameter DATA_W = 64
) (
    input  wire [        31:0] crc_i,
    input  wire [  DATA_W-1:0] data_i,
    input  wire [DATA_W/8-1:0] keep_i,
    output wire [        31:0] crc_o
);

  assign crc_o = $anyseq;

endmodule

`resetall
