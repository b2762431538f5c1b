// The CRC-32C of a frame of the link, as its words pass: over what lies between EtherType and the check itself.
//
// `index_i` is the number of the word in its frame, `data_i` the word, and `en_i` says that it passes in this cycle.
// `crc_d_o` is the check with this word, `crc_q_o` without it, both as the frame carries them (the first octet on the
// wire in the high bits); either is final once the last covered word is in it, and until the next frame's first one.
//
// Latency: none to `crc_d_o`, 1 cycle to `crc_q_o`.

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

  `include "blp_defs.vh"

  localparam KEEP_W = DATA_W / 8;
  localparam FIRST = BLP_COVERED_FIRST / KEEP_W;  // word that the first covered octet is in, and where in it
  localparam SKIPPED = BLP_COVERED_FIRST % KEEP_W;
  localparam LAST = (BLP_COVERED_END - 1) / KEEP_W;
  localparam IN_LAST = BLP_COVERED_END - LAST * KEEP_W;

  reg  [      31:0] crc_q;
  wire [      31:0] crc_after;
  wire              is_first = index_i == FIRST[6:0];
  wire              covered = index_i >= FIRST[6:0] && index_i <= LAST[6:0];
  reg  [KEEP_W-1:0] keep;

  always @* begin
    keep = {KEEP_W{1'b1}};
    if (is_first) keep = {KEEP_W{1'b1}} >> SKIPPED;
    if (index_i == LAST[6:0]) keep = {KEEP_W{1'b1}} >> (KEEP_W - IN_LAST);
  end

  crc32c #(
      .DATA_W(DATA_W)
  ) u_crc (
      .crc_i (is_first ? 32'hFFFFFFFF : crc_q),
      .data_i(is_first ? data_i >> (8 * SKIPPED) : data_i),
      .keep_i(keep),
      .crc_o (crc_after)
  );

  assign crc_d_o = ~(covered ? crc_after : crc_q);
  assign crc_q_o = ~crc_q;

  always @(posedge clk_i) if (en_i && covered) crc_q <= crc_after;

endmodule

`resetall
