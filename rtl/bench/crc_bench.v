// Bench: both CRCs at both widths, on the same inputs.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module crc_bench (
    input  wire [31:0] crc_i,
    input  wire [63:0] data_i,
    input  wire [ 7:0] keep_i,
    output wire [31:0] crc32_64_o,
    output wire [31:0] crc32_8_o,
    output wire [31:0] crc32c_64_o,
    output wire [31:0] crc32c_8_o
);

  crc32 #(
      .DATA_W(64)
  ) u_crc32_64 (
      .crc_i (crc_i),
      .data_i(data_i),
      .keep_i(keep_i),
      .crc_o (crc32_64_o)
  );

  crc32 #(
      .DATA_W(8)
  ) u_crc32_8 (
      .crc_i (crc_i),
      .data_i(data_i[7:0]),
      .keep_i(keep_i[0]),
      .crc_o (crc32_8_o)
  );

  crc32c #(
      .DATA_W(64)
  ) u_crc32c_64 (
      .crc_i (crc_i),
      .data_i(data_i),
      .keep_i(keep_i),
      .crc_o (crc32c_64_o)
  );

  crc32c #(
      .DATA_W(8)
  ) u_crc32c_8 (
      .crc_i (crc_i),
      .data_i(data_i[7:0]),
      .keep_i(keep_i[0]),
      .crc_o (crc32c_8_o)
  );

endmodule

`resetall
