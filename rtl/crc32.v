// CRC-32 of IEEE Std 802.3: the frame check sequence.  See crc_reflected.v for ports and contract.

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

  crc_reflected #(
      .DATA_W(DATA_W),
      .POLY  (32'hEDB88320)
  ) u_crc (
      .crc_i (crc_i),
      .data_i(data_i),
      .keep_i(keep_i),
      .crc_o (crc_o)
  );

endmodule

`resetall
