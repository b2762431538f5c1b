// A reflected 32-bit CRC over the octets of one word of a stream.
//
// The octet in the low bits of `data_i` is the first on the wire.  `keep_i` marks the octets that count: a run from
// the low end, at least one.  `crc_i` is the register before the word, `crc_o` after it; start value and final
// inversion are the user's.
//
// A word that is not full goes through the same matrix as a full one: its octets are moved to the high end, and
// zeros before the message leave a register of zero as it is.  The register itself enters as if it were data, and
// what of it lies beyond the word's octets moves down.  So there is one matrix and one shifter of octets, not a
// matrix for every length.
//
// Latency: none, combinational.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module crc_reflected #(
    parameter DATA_W = 64,
    parameter [31:0] POLY = 32'hEDB88320  // bit 31 is the coefficient of x^0
) (
    input  wire [        31:0] crc_i,
    input  wire [  DATA_W-1:0] data_i,
    input  wire [DATA_W/8-1:0] keep_i,
    output wire [        31:0] crc_o
);

  localparam KEEP_W = DATA_W / 8;

  generate
    if (DATA_W != 8 && DATA_W != 64) begin : g_check_data_w
      DATA_W_must_be_8_or_64 u_stop ();
    end
  endgenerate

  // The bits of a full word that bit `index` of the register depends on.
  function [DATA_W-1:0] row_of(input integer index);
    integer position;
    reg [31:0] column;
    begin
      column = POLY;
      for (position = DATA_W - 1; position >= 0; position = position - 1) begin
        row_of[position] = |(column & (32'h1 << index));
        column = {1'b0, column[31:1]} ^ (column[0] ? POLY : 32'h0);
      end
    end
  endfunction

  // How many octets at the high end do not count.
  function [3:0] absent(input [KEEP_W-1:0] keep);
    integer octet;
    begin
      absent = 4'd0;
      for (octet = 1; octet < KEEP_W; octet = octet + 1) if (!keep[KEEP_W-octet]) absent = octet[3:0];
    end
  endfunction

  wire [ DATA_W-1:0] kept;
  wire [DATA_W+31:0] injected;
  wire [DATA_W+31:0] aligned;

  genvar i;
  generate
    for (i = 0; i < KEEP_W; i = i + 1) begin : g_kept
      assign kept[8*i+:8] = data_i[8*i+:8] & {8{keep_i[i]}};
    end
  endgenerate

  assign injected = {32'h0, kept} ^ {{DATA_W{1'b0}}, crc_i};
  assign aligned  = injected << {absent(keep_i), 3'b000};

  generate
    for (i = 0; i < 32; i = i + 1) begin : g_row
      localparam [DATA_W-1:0] ROW = row_of(i);
      assign crc_o[i] = ^(aligned[DATA_W-1:0] & ROW) ^ aligned[DATA_W+i];
    end
  endgenerate

endmodule

`resetall
