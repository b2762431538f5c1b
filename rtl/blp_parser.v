// Reads frames of the link: every check that needs no state, in the order that the protocol gives them.
//
// The stream is a frame without its FCS; `tuser` of its last word says that the FCS was wrong or the frame spoilt
// otherwise, as fcs_check and MACs do.  The first check that fails counts, and the frame is dropped whole:
// length, FCS, EtherType, version, CRC-32C, type, what must be zero, payload length.  A payload counts only with
// SLOT: without it its room and length must be zero.  Not judged here: the addresses, whom the frame is from and for
// (the ids of the registers), its round.
//
// `frame_valid_o` is set for one cycle, and the fields hold in that cycle alone: whoever listens takes them then.
// The parser never stalls its input.
//
// Latency: 2 cycles from the last word taken to `frame_valid_o`; the counters follow a cycle later.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_parser #(
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

    output wire         frame_valid_o,
    output wire [  3:0] type_o,
    output wire         slot_o,
    output wire         cancel_req_o,
    output wire         credit_o,
    output wire         heard_o,
    output wire [ 15:0] round_o,
    output wire [ 31:0] epoch_o,
    output wire [ 63:0] slice0_o,       // version to epoch, as the next frame to the peer echoes it
    output wire [ 63:0] echo_o,
    output wire [ 63:0] src_o,
    output wire [ 63:0] dst_o,
    output wire [191:0] payload_o,
    output wire [  7:0] length_o,

    output wire [STAT_W-1:0] stat_accepted_o,
    output wire [STAT_W-1:0] stat_drop_length_o,
    output wire [STAT_W-1:0] stat_drop_fcs_o,
    output wire [STAT_W-1:0] stat_drop_ethertype_o,
    output wire [STAT_W-1:0] stat_drop_version_o,
    output wire [STAT_W-1:0] stat_drop_crc_o,
    output wire [STAT_W-1:0] stat_drop_type_o,
    output wire [STAT_W-1:0] stat_drop_padding_o,
    output wire [STAT_W-1:0] stat_drop_payload_length_o
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

  // The number of the word to come; it stops behind the last one of a frame of the right length.
  reg  [ 6:0] index_q;
  wire        taken = s_axis_tvalid && s_axis_tready;
  wire [31:0] crc;

  assign s_axis_tready = 1'b1;

  blp_crc32c #(
      .DATA_W(DATA_W)
  ) u_crc (
      .clk_i  (clk_i),
      .en_i   (taken),
      .index_i(index_q),
      .data_i (s_axis_tdata),
      .crc_d_o(),
      .crc_q_o(crc)
  );

  // From the EtherType to the check, the first octet in the high bits; each is written as it comes by.
  localparam KEPT = OCTETS - BLP_ETHERTYPE_AT;
  wire [8*KEPT-1:0] kept;
  genvar i;
  generate
    for (i = 0; i < KEPT; i = i + 1) begin : g_octet
      localparam WORD = (BLP_ETHERTYPE_AT + i) / KEEP_W;
      localparam LANE = (BLP_ETHERTYPE_AT + i) % KEEP_W;
      reg [7:0] octet_q;
      always @(posedge clk_i) if (taken && index_q == WORD[6:0]) octet_q <= s_axis_tdata[8*LANE+:8];
      assign kept[8*(KEPT-1-i)+:8] = octet_q;
    end
  endgenerate

  wire [15:0] ethertype;
  wire [ 3:0] version;
  wire [ 3:0] reserved;
  wire [23:0] zero;
  wire [31:0] carried;
  assign {ethertype, version, type_o, slot_o, cancel_req_o, credit_o, heard_o, reserved, round_o, epoch_o,
          echo_o, src_o, dst_o, payload_o, length_o, zero, carried} = kept;
  assign slice0_o = kept[8*(KEPT-2)-1-:64];

  // Is one of the octets behind the payload other than zero?
  function dirty(input [191:0] room, input [7:0] length);
    integer octet;
    begin
      dirty = 1'b0;
      for (octet = 0; octet < BLP_PAYLOAD_OCTETS; octet = octet + 1)
      if (octet >= length && room[8*(BLP_PAYLOAD_OCTETS-1-octet)+:8] != 8'h0) dirty = 1'b1;
    end
  endfunction

  // The verdict: a cycle after the last word, when every octet is in its place.
  wire [7:0] valid_octets = slot_o ? length_o : 8'h0;
  reg judge_q, bad_length_q, bad_fcs_q;
  reg accepted_q;
  reg [7:0] fails;  // the first check in the low bit
  wire passes = judge_q && fails == 8'h0;
  wire [7:0] first_failed = fails & (~fails + 8'd1);

  always @* begin
    fails = 8'h0;
    if (judge_q) begin
      fails = {
        slot_o && length_o > BLP_PAYLOAD_OCTETS[7:0],
        reserved != 4'h0 || zero != 24'h0 || (!slot_o && length_o != 8'h0) || dirty(payload_o, valid_octets),
        type_o < BLP_TYPE_FIRST || type_o > BLP_TYPE_LAST,
        carried != crc,
        version != BLP_VERSION,
        ethertype != BLP_ETHERTYPE,
        bad_fcs_q,
        bad_length_q
      };
    end
  end

  assign frame_valid_o = accepted_q;

  always @(posedge clk_i) begin
    if (taken) begin
      index_q      <= s_axis_tlast ? 7'd0 : index_q > LAST[6:0] ? index_q : index_q + 7'd1;
      bad_length_q <= index_q != LAST[6:0] || s_axis_tkeep != LAST_KEEP;
      bad_fcs_q    <= s_axis_tuser;
    end
    judge_q    <= taken && s_axis_tlast;
    accepted_q <= passes;

    if (rst_i) begin
      index_q    <= 7'd0;
      judge_q    <= 1'b0;
      accepted_q <= 1'b0;
    end
  end

  // One counter a reason, in the order of the checks, and one for what passes them all.
  wire [9*STAT_W-1:0] stats;
  assign {stat_accepted_o, stat_drop_payload_length_o, stat_drop_padding_o, stat_drop_type_o, stat_drop_crc_o,
          stat_drop_version_o, stat_drop_ethertype_o, stat_drop_fcs_o, stat_drop_length_o} = stats;

  wire [8:0] counted = {passes, first_failed};
  generate
    for (i = 0; i < 9; i = i + 1) begin : g_stat
      reg [STAT_W-1:0] count_q;
      reg count_now_q;
      always @(posedge clk_i) begin
        count_now_q <= counted[i] && !rst_i;
        if (count_now_q) count_q <= count_q + 1'b1;
        if (rst_i) count_q <= {STAT_W{1'b0}};
      end
      assign stats[STAT_W*i+:STAT_W] = count_q;
    end
  endgenerate

`ifdef FORMAL
  `include "blp_parser_formal.vh"
`endif

endmodule

`resetall
