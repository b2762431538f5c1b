// Appends the frame check sequence to the frames of a stream.
//
// A frame comes in as destination address to the last octet before the FCS and goes out with the four octets of the
// FCS behind it.  No padding: what is shorter than 60 octets stays short.  `tuser` of the last word passes through.
//
// Latency: 1 cycle from a word taken to the same word offered.  Throughput: a word a cycle; where the FCS does not
// fit into the last word, the output takes one word more than the input (with DATA_W 8: four), and frames still
// follow each other on the output without a bubble.  `s_axis_tready` depends on `m_axis_tready` in the same cycle.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module fcs_insert #(
    parameter DATA_W = 64,
    parameter STAT_W = 32
) (
    input wire clk_i,
    input wire rst_i,

    input  wire [  DATA_W-1:0] s_axis_tdata,
    input  wire [DATA_W/8-1:0] s_axis_tkeep,
    input  wire                s_axis_tvalid,
    output wire                s_axis_tready,
    input  wire                s_axis_tlast,
    input  wire                s_axis_tuser,

    output wire [  DATA_W-1:0] m_axis_tdata,
    output wire [DATA_W/8-1:0] m_axis_tkeep,
    output wire                m_axis_tvalid,
    input  wire                m_axis_tready,
    output wire                m_axis_tlast,
    output wire                m_axis_tuser,

    output wire [STAT_W-1:0] stat_frames_o  // frames sent whole
);

  localparam KEEP_W = DATA_W / 8;
  localparam [3:0] WORD = KEEP_W[3:0];

  generate
    if (DATA_W != 8 && DATA_W != 64) begin : g_check_data_w
      DATA_W_must_be_8_or_64 u_stop ();
    end
  endgenerate

  function [3:0] octets_in(input [KEEP_W-1:0] keep);
    integer octet;
    begin
      octets_in = 4'd1;
      for (octet = 1; octet < KEEP_W; octet = octet + 1) if (keep[octet]) octets_in = octet[3:0] + 4'd1;
    end
  endfunction

  // The word under way, and the CRC up to and with it.
  reg [DATA_W-1:0] data_q;
  reg [KEEP_W-1:0] keep_q;
  reg last_q, user_q, valid_q, first_q;
  reg  [31:0] crc_q;
  wire [31:0] crc_d;

  // What of the FCS is still to send once the frame's last word has gone.
  reg  [31:0] rest_q;
  reg  [ 2:0] rest_octets_q;
  reg         rest_user_q;

  wire        taken;
  wire        sent;
  wire        in_rest;

  crc32 #(
      .DATA_W(DATA_W)
  ) u_crc (
      .crc_i (first_q ? 32'hFFFFFFFF : crc_q),
      .data_i(s_axis_tdata),
      .keep_i(s_axis_tkeep),
      .crc_o (crc_d)
  );

  assign in_rest       = rest_octets_q != 3'd0;
  assign s_axis_tready = !valid_q || (m_axis_tready && !in_rest);
  assign taken         = s_axis_tvalid && s_axis_tready;
  assign sent          = m_axis_tvalid && m_axis_tready;

  // The word under way with the FCS behind it, up to four octets longer than a word.
  wire [        3:0] octets = octets_in(keep_q);
  wire [        3:0] total = octets + 4'd4;  // of the frame's last word and the FCS
  wire [ DATA_W-1:0] kept;
  wire [DATA_W+31:0] sealed;
  wire [ DATA_W-1:0] rest_word;

  genvar i;
  generate
    for (i = 0; i < KEEP_W; i = i + 1) begin : g_octet
      assign kept[8*i+:8] = data_q[8*i+:8] & {8{keep_q[i]}};
      assign m_axis_tkeep[i] = in_rest ? i < rest_octets_q : !last_q || i < total;
    end
    if (DATA_W > 32) begin : g_wide
      assign rest_word = {{DATA_W - 32{1'b0}}, rest_q};
    end else begin : g_narrow
      assign rest_word = rest_q[DATA_W-1:0];
    end
  endgenerate

  assign sealed        = {32'h0, kept} | ({{DATA_W{1'b0}}, ~crc_q} << {octets, 3'b000});

  assign m_axis_tvalid = valid_q || in_rest;
  assign m_axis_tdata  = in_rest ? rest_word : last_q ? sealed[DATA_W-1:0] : data_q;
  assign m_axis_tlast  = in_rest ? {1'b0, rest_octets_q} <= WORD : last_q && total <= WORD;
  assign m_axis_tuser  = m_axis_tlast && (in_rest ? rest_user_q : user_q);

  always @(posedge clk_i) begin
    if (taken) begin
      data_q  <= s_axis_tdata;
      keep_q  <= s_axis_tkeep;
      last_q  <= s_axis_tlast;
      user_q  <= s_axis_tuser;
      crc_q   <= crc_d;
      first_q <= s_axis_tlast;
    end
    if (taken || (sent && !in_rest)) valid_q <= taken;

    if (sent && in_rest) begin
      rest_q        <= rest_q >> DATA_W;
      rest_octets_q <= m_axis_tlast ? 3'd0 : rest_octets_q - WORD[2:0];
    end else if (sent && last_q && total > WORD) begin
      rest_q        <= sealed[DATA_W+31:DATA_W];
      rest_octets_q <= total[2:0] - WORD[2:0];
      rest_user_q   <= user_q;
    end

    if (rst_i) begin
      valid_q       <= 1'b0;
      first_q       <= 1'b1;
      rest_octets_q <= 3'd0;
    end
  end

  reg [STAT_W-1:0] frames_q;
  assign stat_frames_o = frames_q;

  always @(posedge clk_i) begin
    if (sent && m_axis_tlast) frames_q <= frames_q + 1'b1;
    if (rst_i) frames_q <= {STAT_W{1'b0}};
  end

`ifdef FORMAL
  `include "fcs_insert_formal.vh"
`endif

endmodule

`resetall
