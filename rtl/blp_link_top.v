// One end of a bilateral link, from the application's port to the MAC's streams.
//
// Endpoint, non-volatile register, timer, framer, parser, FCS and counters.  The streams carry whole frames with their
// FCS, from destination address on.  `link_i` is the link as the PHY sees it; it counts only once the register has
// been formatted (has an identity).  `crash_i` takes everything but the register.
//
// What comes while a write is under way is dropped by the table.  With RX_DEPTH the end takes it up after the write
// instead: to the table that is a longer wire, which keeps its order.
//
// Latency, in cycles, with DATA_W 64 (8): 3 from a snapshot taken to its frame's first word on m_axis; 14 (85) from
// that word, taken at once and without a pause, to the frame at the endpoint.  A write of the register takes
// WRITE_CYCLES + 3.  So a round takes, from the offer taken to its outcome told,
// 3 (WRITE_CYCLES + 3) + 2 (1 + 3 + 14) and twice what lies between the ends.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_link_top #(
    parameter DATA_W = 64,
    parameter WRITE_CYCLES = 10,
    parameter RX_DEPTH = 0,       // received frames that wait for the end of a write; 0: none, they are dropped
    parameter STAT_W = 32
) (
    input wire clk_i,
    input wire rst_i,
    input wire crash_i,

    input wire        link_i,
    input wire        tick_i,
    input wire [31:0] cfg_beacon_i,
    input wire [31:0] cfg_retry_i,
    input wire [47:0] cfg_da_i,
    input wire [47:0] cfg_sa_i,

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

    // As blp_endpoint's; a slot is {valid, length, payload}, the payload's first octet in its high bits.
    input  wire         app_offer_valid_i,
    output wire         app_offer_ready_o,
    input  wire [200:0] app_offer_slot_i,
    input  wire         app_cancel_valid_i,
    output wire         app_cancel_ready_o,
    input  wire         app_consume_valid_i,
    output wire         app_consume_ready_o,
    input  wire [ 47:0] app_consume_round_i,
    input  wire [  1:0] app_answer_i,
    input  wire [200:0] app_give_slot_i,
    output wire         tell_refused_o,
    output wire         tell_committed_o,
    output wire         tell_reversed_o,
    output wire         tell_alarm_o,
    output wire [200:0] tell_slot_o,
    output wire [200:0] inbox_o,
    output wire [ 47:0] inbox_round_o,
    input  wire         format_valid_i,
    output wire         format_ready_o,
    input  wire         format_ruled_i,
    input  wire [ 63:0] format_nvid_i,

    output wire [2:0] state_o,
    output wire [4:0] volatile_o,
    output wire       stat_valid_o,
    output wire [6:0] stat_row_o,

    // Counters: one a row of the table, one a reason to drop; the parser's own besides.
    input  wire [       6:0] stat_read_row_i,
    input  wire [       3:0] stat_read_drop_i,
    output wire [STAT_W-1:0] stat_rows_o,
    output wire [STAT_W-1:0] stat_drops_o,
    output wire [STAT_W-1:0] stat_bad_epoch_o,
    output wire [STAT_W-1:0] stat_missed_o,               // came while one before it still waited
    output wire [STAT_W-1:0] stat_frames_sent_o,
    output wire [STAT_W-1:0] stat_frames_accepted_o,
    output wire [STAT_W-1:0] stat_drop_length_o,
    output wire [STAT_W-1:0] stat_drop_fcs_o,
    output wire [STAT_W-1:0] stat_drop_ethertype_o,
    output wire [STAT_W-1:0] stat_drop_version_o,
    output wire [STAT_W-1:0] stat_drop_crc_o,
    output wire [STAT_W-1:0] stat_drop_type_o,
    output wire [STAT_W-1:0] stat_drop_padding_o,
    output wire [STAT_W-1:0] stat_drop_payload_length_o,

    // Bench alone; tie to zero otherwise (see blp_nvreg).
    input  wire [691:0] tear_i,
    input  wire         tear_sel_i,
    output wire [691:0] register_o
);

`include "blp_table.vh"

  localparam SLOT_W = 201, ROUND_W = 48, REGISTER_W = 692;
  // As it is made: no identity yet.
  localparam [REGISTER_W-1:0] FACTORY = {176'd0, PHASE_RETURNED, 514'd0};

  wire lost = rst_i || crash_i;

  wire tx_valid, tx_ready;
  wire [3:0] tx_type;
  wire tx_cancel_req, tx_credit, tx_heard;
  wire [15:0] tx_round;
  wire [63:0] tx_epoch, tx_echo, tx_src, tx_dst;
  wire unused = &{1'b0, tx_epoch[63:32]};  // a frame carries half of it
  wire [SLOT_W-1:0] tx_slot;
  wire nv_write, nv_ready, nv_done;
  wire [REGISTER_W-1:0] nv_data, nv_value;
  wire timer_valid, timer_ready;
  wire [3:0] drop;
  wire bad_epoch;

  // A received frame waits here for the endpoint, which may be about something else in the cycle of its arrival.
  localparam FRAME_W = 3 * 64 + SLOT_W;
  wire frame_valid, frame_slot;
  wire [63:0] frame_slice0, frame_src, frame_dst;
  wire [191:0] frame_payload;
  wire [7:0] frame_length;
  wire rx_waits, rx_ready;
  wire [63:0] rx_slice0, rx_src, rx_dst;
  wire [SLOT_W-1:0] rx_slot;
  wire [SLOT_W-1:0] came = frame_slot ? {1'b1, frame_length, frame_payload} : {SLOT_W{1'b0}};

  blp_rx_queue #(
      .WIDTH (FRAME_W),
      .DEPTH (RX_DEPTH == 0 ? 1 : RX_DEPTH),
      .STAT_W(STAT_W)
  ) u_rx_queue (
      .clk_i        (clk_i),
      .rst_i        (lost),
      .push_valid_i (frame_valid),
      .push_data_i  ({frame_slice0, frame_src, frame_dst, came}),
      .pop_valid_o  (rx_waits),
      .pop_ready_i  (rx_ready),
      .pop_data_o   ({rx_slice0, rx_src, rx_dst, rx_slot}),
      .stat_missed_o(stat_missed_o)
  );
  // The endpoint would drop it in a write.
  wire rx_valid = rx_waits && (RX_DEPTH == 0 || state_o != STATE_WRITING);

  reg [STAT_W-1:0] bad_epoch_q;
  always @(posedge clk_i) begin
    if (bad_epoch) bad_epoch_q <= bad_epoch_q + 1'b1;
    if (lost) bad_epoch_q <= {STAT_W{1'b0}};
  end
  assign stat_bad_epoch_o = bad_epoch_q;

  wire formatted = nv_value[REGISTER_W-1-:64] != 64'd0;
  wire link = link_i && formatted;

  blp_endpoint #(
      .ROUND_W(ROUND_W)
  ) u_endpoint (
      .clk_i              (clk_i),
      .rst_i              (rst_i),
      .crash_i            (crash_i),
      .link_up_valid_i    (link && !volatile_o[4]),
      .link_up_ready_o    (),
      .link_down_valid_i  (!link && volatile_o[4]),
      .link_down_ready_o  (),
      .timer_valid_i      (timer_valid),
      .timer_ready_o      (timer_ready),
      .rx_valid_i         (rx_valid),
      .rx_ready_o         (rx_ready),
      .rx_slice0_i        (rx_slice0),
      .rx_round_i         (rx_slice0[47:32]),
      .rx_src_i           (rx_src),
      .rx_dst_i           (rx_dst),
      .rx_slot_i          (rx_slot),
      .tx_valid_o         (tx_valid),
      .tx_ready_i         (tx_ready),
      .tx_type_o          (tx_type),
      .tx_cancel_req_o    (tx_cancel_req),
      .tx_credit_o        (tx_credit),
      .tx_heard_o         (tx_heard),
      .tx_round_o         (tx_round),
      .tx_epoch_o         (tx_epoch),
      .tx_echo_o          (tx_echo),
      .tx_src_o           (tx_src),
      .tx_dst_o           (tx_dst),
      .tx_slot_o          (tx_slot),
      .app_offer_valid_i  (app_offer_valid_i),
      .app_offer_ready_o  (app_offer_ready_o),
      .app_offer_slot_i   (app_offer_slot_i),
      .app_cancel_valid_i (app_cancel_valid_i),
      .app_cancel_ready_o (app_cancel_ready_o),
      .app_consume_valid_i(app_consume_valid_i),
      .app_consume_ready_o(app_consume_ready_o),
      .app_consume_round_i(app_consume_round_i),
      .app_answer_i       (app_answer_i),
      .app_give_slot_i    (app_give_slot_i),
      .tell_refused_o     (tell_refused_o),
      .tell_committed_o   (tell_committed_o),
      .tell_reversed_o    (tell_reversed_o),
      .tell_alarm_o       (tell_alarm_o),
      .tell_slot_o        (tell_slot_o),
      .inbox_o            (inbox_o),
      .inbox_round_o      (inbox_round_o),
      .format_valid_i     (format_valid_i),
      .format_ready_o     (format_ready_o),
      .format_ruled_i     (format_ruled_i),
      .format_nvid_i      (format_nvid_i),
      .nv_write_o         (nv_write),
      .nv_ready_i         (nv_ready),
      .nv_data_o          (nv_data),
      .nv_done_i          (nv_done),
      .nv_data_i          (nv_value),
      .state_o            (state_o),
      .volatile_o         (volatile_o),
      .stat_valid_o       (stat_valid_o),
      .stat_row_o         (stat_row_o),
      .stat_drop_o        (drop),
      .stat_bad_epoch_o   (bad_epoch)
  );

  blp_nvreg #(
      .WIDTH       (REGISTER_W),
      .WRITE_CYCLES(WRITE_CYCLES),
      .FACTORY     (FACTORY)
  ) u_nvreg (
      .clk_i     (clk_i),
      .rst_i     (rst_i),
      .crash_i   (crash_i),
      .wr_valid_i(nv_write),
      .wr_ready_o(nv_ready),
      .wr_data_i (nv_data),
      .wr_done_o (nv_done),
      .rd_data_o (nv_value),
      .tear_i    (tear_i),
      .tear_sel_i(tear_sel_i)
  );
  assign register_o = nv_value;

  blp_timer u_timer (
      .clk_i        (clk_i),
      .rst_i        (lost),
      .tick_i       (tick_i),
      .sent_i       (tx_valid && tx_ready),
      .bound_i      (tx_type == {2'b00, PHASE_OFFER}),
      .cfg_beacon_i (cfg_beacon_i),
      .cfg_retry_i  (cfg_retry_i),
      .timer_valid_o(timer_valid),
      .timer_ready_i(timer_ready)
  );

  blp_counters #(
      .SELECT_W(7),
      .STAT_W  (STAT_W)
  ) u_rows (
      .clk_i  (clk_i),
      .rst_i  (lost),
      .count_i(stat_valid_o),
      .which_i(stat_row_o),
      .read_i (stat_read_row_i),
      .stat_o (stat_rows_o)
  );

  blp_counters #(
      .SELECT_W(4),
      .STAT_W  (STAT_W)
  ) u_drops (
      .clk_i  (clk_i),
      .rst_i  (lost),
      .count_i(stat_valid_o && drop != DROP_NONE),
      .which_i(drop),
      .read_i (stat_read_drop_i),
      .stat_o (stat_drops_o)
  );

  wire [DATA_W-1:0] out_tdata, in_tdata;
  wire [DATA_W/8-1:0] out_tkeep, in_tkeep;
  wire out_tvalid, out_tready, out_tlast, out_tuser;
  wire in_tvalid, in_tready, in_tlast, in_tuser;

  blp_framer #(
      .DATA_W(DATA_W),
      .STAT_W(STAT_W)
  ) u_framer (
      .clk_i        (clk_i),
      .rst_i        (lost),
      .cfg_da_i     (cfg_da_i),
      .cfg_sa_i     (cfg_sa_i),
      .snap_valid_i (tx_valid),
      .snap_ready_o (tx_ready),
      .type_i       (tx_type),
      .slot_i       (tx_slot[SLOT_W-1]),
      .cancel_req_i (tx_cancel_req),
      .credit_i     (tx_credit),
      .heard_i      (tx_heard),
      .round_i      (tx_round),
      .epoch_i      (tx_epoch[31:0]),
      .echo_i       (tx_echo),
      .src_i        (tx_src),
      .dst_i        (tx_dst),
      .payload_i    (tx_slot[191:0]),
      .length_i     (tx_slot[199:192]),
      .m_axis_tdata (out_tdata),
      .m_axis_tkeep (out_tkeep),
      .m_axis_tvalid(out_tvalid),
      .m_axis_tready(out_tready),
      .m_axis_tlast (out_tlast),
      .m_axis_tuser (out_tuser),
      .stat_frames_o(stat_frames_sent_o)
  );

  fcs_insert #(
      .DATA_W(DATA_W),
      .STAT_W(STAT_W)
  ) u_fcs_insert (
      .clk_i        (clk_i),
      .rst_i        (lost),
      .s_axis_tdata (out_tdata),
      .s_axis_tkeep (out_tkeep),
      .s_axis_tvalid(out_tvalid),
      .s_axis_tready(out_tready),
      .s_axis_tlast (out_tlast),
      .s_axis_tuser (out_tuser),
      .m_axis_tdata (m_axis_tdata),
      .m_axis_tkeep (m_axis_tkeep),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready),
      .m_axis_tlast (m_axis_tlast),
      .m_axis_tuser (m_axis_tuser),
      .stat_frames_o()
  );

  fcs_check #(
      .DATA_W(DATA_W),
      .STAT_W(STAT_W)
  ) u_fcs_check (
      .clk_i         (clk_i),
      .rst_i         (lost),
      .s_axis_tdata  (s_axis_tdata),
      .s_axis_tkeep  (s_axis_tkeep),
      .s_axis_tvalid (s_axis_tvalid),
      .s_axis_tready (s_axis_tready),
      .s_axis_tlast  (s_axis_tlast),
      .s_axis_tuser  (s_axis_tuser),
      .m_axis_tdata  (in_tdata),
      .m_axis_tkeep  (in_tkeep),
      .m_axis_tvalid (in_tvalid),
      .m_axis_tready (in_tready),
      .m_axis_tlast  (in_tlast),
      .m_axis_tuser  (in_tuser),
      .stat_good_o   (),
      .stat_bad_fcs_o(),
      .stat_error_o  (),
      .stat_runt_o   ()
  );

  blp_parser #(
      .DATA_W(DATA_W),
      .STAT_W(STAT_W)
  ) u_parser (
      .clk_i                     (clk_i),
      .rst_i                     (lost),
      .s_axis_tdata              (in_tdata),
      .s_axis_tkeep              (in_tkeep),
      .s_axis_tvalid             (in_tvalid),
      .s_axis_tready             (in_tready),
      .s_axis_tlast              (in_tlast),
      .s_axis_tuser              (in_tuser),
      .frame_valid_o             (frame_valid),
      .type_o                    (),
      .slot_o                    (frame_slot),
      .cancel_req_o              (),
      .credit_o                  (),
      .heard_o                   (),
      .round_o                   (),
      .epoch_o                   (),
      .slice0_o                  (frame_slice0),
      .echo_o                    (),
      .src_o                     (frame_src),
      .dst_o                     (frame_dst),
      .payload_o                 (frame_payload),
      .length_o                  (frame_length),
      .stat_accepted_o           (stat_frames_accepted_o),
      .stat_drop_length_o        (stat_drop_length_o),
      .stat_drop_fcs_o           (stat_drop_fcs_o),
      .stat_drop_ethertype_o     (stat_drop_ethertype_o),
      .stat_drop_version_o       (stat_drop_version_o),
      .stat_drop_crc_o           (stat_drop_crc_o),
      .stat_drop_type_o          (stat_drop_type_o),
      .stat_drop_padding_o       (stat_drop_padding_o),
      .stat_drop_payload_length_o(stat_drop_payload_length_o)
  );

endmodule

`resetall
