// Bench: a mailbox for frames that go into a stream, so that whoever drives it is woken once a frame, not once a cycle.
//
// The frame in `frame_i` (first octet in the low bits) of `length_i` octets is due as long as `put_i` and `taken_o`
// differ; it has been copied once they are equal again, and the next one may be put while it goes out.  `pause_i` of
// 256 cycles, at random but the same in each run, bring no new word.  Octets that do not count are ones.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module frame_source #(
    parameter DATA_W = 64,
    parameter OCTETS = 128
) (
    input wire clk_i,
    input wire rst_i,

    input  wire [8*OCTETS-1:0] frame_i,
    input  wire [        15:0] length_i,
    input  wire                bad_i,
    input  wire                put_i,
    output wire                taken_o,
    input  wire [         7:0] pause_i,

    output wire [  DATA_W-1:0] m_axis_tdata,
    output wire [DATA_W/8-1:0] m_axis_tkeep,
    output wire                m_axis_tvalid,
    input  wire                m_axis_tready,
    output wire                m_axis_tlast,
    output wire                m_axis_tuser,

    // Cycles since the reset in which the newest frame's first and last word were handed over.
    output wire [31:0] first_at_o,
    output wire [31:0] last_at_o
);

  localparam KEEP_W = DATA_W / 8;
  localparam WORD = DATA_W / 8;

  reg [8*OCTETS-1:0] frame_q;
  reg [15:0] left_q, word_q;
  reg bad_q, taken_q, begins_q;

  reg [DATA_W-1:0] data_q;
  reg [KEEP_W-1:0] keep_q;
  reg valid_q, last_q, user_q, first_q;

  reg [31:0] cycle_q, first_at_q, last_at_q;
  reg  [      15:0] noise_q;

  wire              busy = left_q != 16'd0;
  wire              free = !valid_q || m_axis_tready;
  wire              step = busy && free && noise_q[7:0] >= pause_i;
  wire              ends = left_q <= WORD[15:0];
  wire              load = put_i != taken_q && (!busy || (step && ends));
  wire [KEEP_W-1:0] keep = ends ? ~({KEEP_W{1'b1}} << left_q) : {KEEP_W{1'b1}};
  wire [DATA_W-1:0] mask;

  genvar i;
  generate
    for (i = 0; i < KEEP_W; i = i + 1) begin : g_mask
      assign mask[8*i+:8] = {8{keep[i]}};
    end
  endgenerate

  assign taken_o       = taken_q;
  assign m_axis_tdata  = data_q;
  assign m_axis_tkeep  = keep_q;
  assign m_axis_tvalid = valid_q;
  assign m_axis_tlast  = last_q;
  assign m_axis_tuser  = user_q;
  assign first_at_o    = first_at_q;
  assign last_at_o     = last_at_q;

  always @(posedge clk_i) begin
    cycle_q <= cycle_q + 32'd1;
    noise_q <= {noise_q[14:0], noise_q[15] ^ noise_q[13] ^ noise_q[12] ^ noise_q[10]};

    if (step) begin
      data_q   <= frame_q[word_q*DATA_W+:DATA_W] | ~mask;
      keep_q   <= keep;
      last_q   <= ends;
      user_q   <= ends && bad_q;
      first_q  <= begins_q;
      begins_q <= 1'b0;
      word_q   <= word_q + 16'd1;
      left_q   <= ends ? 16'd0 : left_q - WORD[15:0];
    end
    if (free) valid_q <= step;
    if (load) begin
      frame_q  <= frame_i;
      word_q   <= 16'd0;
      left_q   <= length_i;
      bad_q    <= bad_i;
      begins_q <= 1'b1;
      taken_q  <= put_i;
    end
    if (valid_q && m_axis_tready && first_q) first_at_q <= cycle_q;
    if (valid_q && m_axis_tready && last_q) last_at_q <= cycle_q;

    if (rst_i) begin
      cycle_q <= 32'd0;
      noise_q <= 16'hACE1;
      left_q  <= 16'd0;
      valid_q <= 1'b0;
      taken_q <= put_i;
    end
  end

endmodule

`resetall
