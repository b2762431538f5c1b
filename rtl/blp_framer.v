// Makes a frame of the link out of a snapshot of the endpoint's register.
//
// The snapshot is taken in one cycle (`snap_valid_i` and `snap_ready_o`), so the register may change while the frame
// goes out.  The frame is a stream without its FCS, which fcs_insert or a MAC appends.  A payload counts only with
// `slot_i`; its first octet lies in the high bits, and what is beyond its length must be zero.  The addresses are a
// matter of configuration and keep still.
//
// Latency: 2 cycles from the snapshot taken to the first word offered.  A frame takes 10 words with DATA_W 64 and 78
// with DATA_W 8, and frames follow each other without a bubble.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_framer #(
    parameter DATA_W = 64,
    parameter STAT_W = 32
) (
    input wire clk_i,
    input wire rst_i,

    input wire [47:0] cfg_da_i,
    input wire [47:0] cfg_sa_i,

    input  wire         snap_valid_i,
    output wire         snap_ready_o,
    input  wire [  3:0] type_i,
    input  wire         slot_i,
    input  wire         cancel_req_i,
    input  wire         credit_i,
    input  wire         heard_i,
    input  wire [ 15:0] round_i,
    input  wire [ 31:0] epoch_i,
    input  wire [ 63:0] echo_i,
    input  wire [ 63:0] src_i,
    input  wire [ 63:0] dst_i,
    input  wire [191:0] payload_i,
    input  wire [  7:0] length_i,

    output wire [  DATA_W-1:0] m_axis_tdata,
    output wire [DATA_W/8-1:0] m_axis_tkeep,
    output wire                m_axis_tvalid,
    input  wire                m_axis_tready,
    output wire                m_axis_tlast,
    output wire                m_axis_tuser,

    output wire [STAT_W-1:0] stat_frames_o  // frames sent whole
);

  `include "blp_defs.vh"

  localparam KEEP_W = DATA_W / 8;
  localparam OCTETS = BLP_FRAME_OCTETS - BLP_FCS_OCTETS;
  localparam WORDS = (OCTETS + KEEP_W - 1) / KEEP_W;
  localparam LAST = WORDS - 1;
  localparam [KEEP_W-1:0] LAST_KEEP = {KEEP_W{1'b1}} >> (WORDS * KEEP_W - OCTETS);

  generate
    if (DATA_W != 8 && DATA_W != 64) begin : g_check_data_w
      DATA_W_must_be_8_or_64 u_stop ();
    end
  endgenerate

  // The snapshot, octet 14 of the frame in the high bits, and whether one is under way.
  localparam BODY_W = 8 * (BLP_COVERED_END - BLP_COVERED_FIRST);
  reg [BODY_W-1:0] body_q;
  reg busy_q;
  reg [6:0] index_q;

  // The frame from its first octet, which a stream has in its low bits.
  wire [8*OCTETS-1:0] frame = {cfg_da_i, cfg_sa_i, BLP_ETHERTYPE, body_q, 32'h0};
  wire [WORDS*DATA_W-1:0] octets;
  wire [DATA_W-1:0] plain = octets[index_q*DATA_W+:DATA_W];
  wire [DATA_W-1:0] word;
  wire [31:0] crc;

  reg [DATA_W-1:0] data_q;
  reg last_q, valid_q;

  wire moves = busy_q && (!valid_q || m_axis_tready);
  wire ends = moves && index_q == LAST[6:0];

  blp_crc32c #(
      .DATA_W(DATA_W)
  ) u_crc (
      .clk_i  (clk_i),
      .en_i   (moves),
      .index_i(index_q),
      .data_i (plain),
      .crc_d_o(crc),
      .crc_q_o()
  );

  genvar i;
  generate
    for (i = 0; i < WORDS * KEEP_W; i = i + 1) begin : g_octet
      if (i < OCTETS) begin : g_frame
        assign octets[8*i+:8] = frame[8*(OCTETS-1-i)+:8];
      end else begin : g_beyond
        assign octets[8*i+:8] = 8'h0;
      end
    end
    // The check has a place in every lane that one of its octets comes by.
    if (KEEP_W >= 4) begin : g_wide
      localparam AT = BLP_CRC_AT % KEEP_W;
      wire [31:0] swapped = {crc[7:0], crc[15:8], crc[23:16], crc[31:24]};
      assign word = index_q == LAST[6:0] ? plain | ({{DATA_W - 32{1'b0}}, swapped} << (8 * AT)) : plain;
    end else begin : g_narrow
      wire [4:0] at = {BLP_CRC_AT[1:0] + 2'd3 - index_q[1:0], 3'b000};
      assign word = index_q >= BLP_CRC_AT[6:0] ? crc[at+:8] : plain;
    end
  endgenerate

  assign snap_ready_o  = !busy_q || ends;
  assign m_axis_tdata  = data_q;
  assign m_axis_tkeep  = last_q ? LAST_KEEP : {KEEP_W{1'b1}};
  assign m_axis_tvalid = valid_q;
  assign m_axis_tlast  = last_q;
  assign m_axis_tuser  = 1'b0;

  always @(posedge clk_i) begin
    if (snap_valid_i && snap_ready_o) begin
      body_q <= {
        BLP_VERSION,
        type_i,
        slot_i,
        cancel_req_i,
        credit_i,
        heard_i,
        4'h0,
        round_i,
        epoch_i,
        echo_i,
        src_i,
        dst_i,
        payload_i & {192{slot_i}},
        length_i & {8{slot_i}},
        24'h0
      };
    end
    if (snap_ready_o) busy_q <= snap_valid_i;
    if (moves) index_q <= ends ? 7'd0 : index_q + 7'd1;

    if (moves) begin
      data_q <= word;
      last_q <= ends;
    end
    if (moves || m_axis_tready) valid_q <= moves;

    if (rst_i) begin
      busy_q  <= 1'b0;
      index_q <= 7'd0;
      valid_q <= 1'b0;
    end
  end

  reg [STAT_W-1:0] frames_q;
  assign stat_frames_o = frames_q;

  always @(posedge clk_i) begin
    if (m_axis_tvalid && m_axis_tready && m_axis_tlast) frames_q <= frames_q + 1'b1;
    if (rst_i) frames_q <= {STAT_W{1'b0}};
  end

`ifdef FORMAL
  `include "blp_framer_formal.vh"
`endif

endmodule

`resetall
