// Bench: collects the frames of a stream, and watches that the stream keeps its rules.
//
// With each frame `arrived_o` turns over, and until the next one `frame_o` (first octet in the low bits), `length_o`
// and `bad_o` (tuser of the last word) tell of it.  `pause_i` of 256 cycles, at random but the same in each run, the
// sink is not ready.
//
// `faults_o` counts breaches: a word that is taken back or changes before it was taken, octets that count behind some
// that do not, a word that is not full and not the last.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module frame_sink #(
    parameter DATA_W = 64,
    parameter OCTETS = 128
) (
    input wire clk_i,
    input wire rst_i,

    input  wire [  DATA_W-1:0] s_axis_tdata,
    input  wire [DATA_W/8-1:0] s_axis_tkeep,
    input  wire                s_axis_tvalid,
    output wire                s_axis_tready,
    input  wire                s_axis_tlast,
    input  wire                s_axis_tuser,

    input  wire [         7:0] pause_i,
    output wire                arrived_o,
    output wire [8*OCTETS-1:0] frame_o,
    output wire [        15:0] length_o,
    output wire                bad_o,

    // Cycles since the reset in which its first word was offered and its last word taken, and cycles between in
    // which the sink was ready and no word came.
    output wire [31:0] first_at_o,
    output wire [31:0] last_at_o,
    output wire [31:0] bubbles_o,
    output wire [31:0] faults_o
);

  localparam KEEP_W = DATA_W / 8;
  localparam WORDS = (OCTETS + KEEP_W - 1) / KEEP_W;
  localparam AT_W = $clog2(WORDS);

  function [15:0] octets_in(input [KEEP_W-1:0] keep);
    integer octet;
    begin
      octets_in = 16'd0;
      for (octet = 0; octet < KEEP_W; octet = octet + 1) if (keep[octet]) octets_in = octets_in + 16'd1;
    end
  endfunction

  // The words of the frame under way, and the frame that arrived last: put together once a frame, for speed.
  reg [DATA_W-1:0] words[0:WORDS-1];
  reg [DATA_W*WORDS-1:0] done_q;
  initial done_q = 0;

  function automatic [DATA_W*WORDS-1:0] together(input [15:0] full, input [DATA_W-1:0] last);
    integer at;
    begin
      together                      = 0;
      together[full*DATA_W+:DATA_W] = last;
      for (at = 0; at < full; at = at + 1) together[at*DATA_W+:DATA_W] = words[at[AT_W-1:0]];
    end
  endfunction

  reg [15:0] words_q, length_q, done_length_q;
  reg begun_q, bad_q, arrived_q, ready_q;
  reg [31:0] cycle_q, first_at_q, done_first_at_q, last_at_q, bubbles_q, done_bubbles_q, faults_q;
  reg [15:0] noise_q;

  // The offer of the cycle before, and whether it was left standing.
  wire [DATA_W+KEEP_W+1:0] offer = {s_axis_tdata, s_axis_tkeep, s_axis_tlast, s_axis_tuser};
  reg [DATA_W+KEEP_W+1:0] offer_q;
  reg stood_q;

  wire taken = s_axis_tvalid && s_axis_tready;
  wire [KEEP_W-1:0] after_hole = s_axis_tkeep & (s_axis_tkeep + 1'b1);
  wire misshapen = |after_hole || s_axis_tkeep == {KEEP_W{1'b0}} || !(s_axis_tlast || (&s_axis_tkeep));
  wire [DATA_W-1:0] mask;
  wire [15:0] length_d = length_q + octets_in(s_axis_tkeep);

  genvar i;
  generate
    for (i = 0; i < KEEP_W; i = i + 1) begin : g_mask
      assign mask[8*i+:8] = {8{s_axis_tkeep[i]}};
    end
  endgenerate

  assign s_axis_tready = ready_q;
  assign arrived_o     = arrived_q;
  assign frame_o       = done_q[8*OCTETS-1:0];
  assign length_o      = done_length_q;
  assign bad_o         = bad_q;
  assign first_at_o    = done_first_at_q;
  assign last_at_o     = last_at_q;
  assign bubbles_o     = done_bubbles_q;
  assign faults_o      = faults_q;

  always @(posedge clk_i) begin
    cycle_q <= cycle_q + 32'd1;
    noise_q <= {noise_q[14:0], noise_q[15] ^ noise_q[13] ^ noise_q[12] ^ noise_q[10]};
    ready_q <= noise_q[7:0] >= pause_i;

    if (s_axis_tvalid && !begun_q && !stood_q) first_at_q <= cycle_q;
    if (taken) begin
      begun_q                  <= !s_axis_tlast;
      words[words_q[AT_W-1:0]] <= s_axis_tdata & mask;
      words_q                  <= s_axis_tlast ? 16'd0 : words_q + 16'd1;
      length_q                 <= s_axis_tlast ? 16'd0 : length_d;
    end
    if (taken && !begun_q) bubbles_q <= 32'd0;
    else if (begun_q && s_axis_tready && !s_axis_tvalid) bubbles_q <= bubbles_q + 32'd1;
    if (taken && s_axis_tlast) begin
      done_length_q   <= length_d;
      bad_q           <= s_axis_tuser;
      done_first_at_q <= begun_q || stood_q ? first_at_q : cycle_q;
      last_at_q       <= cycle_q;
      done_bubbles_q  <= begun_q ? bubbles_q : 32'd0;
      arrived_q       <= !arrived_q;
    end

    if (taken && s_axis_tlast) done_q <= together(words_q, s_axis_tdata & mask);

    stood_q <= s_axis_tvalid && !s_axis_tready;
    offer_q <= offer;
    if ((stood_q && !(s_axis_tvalid && offer == offer_q)) || (taken && misshapen)) faults_q <= faults_q + 32'd1;

    if (rst_i) begin
      cycle_q   <= 32'd0;
      noise_q   <= 16'h1D0F;
      ready_q   <= 1'b0;
      begun_q   <= 1'b0;
      stood_q   <= 1'b0;
      words_q   <= 16'd0;
      length_q  <= 16'd0;
      arrived_q <= 1'b0;
      faults_q  <= 32'd0;
    end
  end

endmodule

`resetall
