// Bench: two ends of a link, joined by lossy wires or, with DIRECT, by nothing at all.
//
// Of what comes in pairs the left end has the low bits.  Requests of an end: {format, consume, cancel, offer}; it
// consumes whatever is in its inbox.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module link_pair_bench #(
    parameter DATA_W = 64,
    parameter WRITE_CYCLES = 10,
    parameter RX_DEPTH = 0,
    parameter DIRECT = 0,
    parameter [31:0] SEED = 32'd1
) (
    input wire clk_i,
    input wire rst_i,
    input wire [1:0] crash_i,
    input wire [1:0] tear_sel_i,
    input wire link_i,
    input wire tick_i,
    input wire [31:0] cfg_beacon_i,
    input wire [31:0] cfg_retry_i,
    input wire [7:0] lose_i,
    input wire [7:0] spoil_i,
    input wire [7:0] repeat_i,
    input wire [7:0] request_i,
    output wire [7:0] granted_o,
    input wire [3:0] answer_i,
    input wire [200:0] left_slot_i,
    input wire [200:0] right_slot_i,
    input wire [200:0] left_give_i,
    input wire [200:0] right_give_i,
    input wire [63:0] nvid_i,
    output wire [7:0] told_o,
    output wire [5:0] state_o,
    output wire [9:0] volatile_o,
    input wire [6:0] read_row_i,
    output wire [63:0] rows_o,
    output wire [63:0] bad_epoch_o,
    output wire [63:0] missed_o,
    output wire [1383:0] register_o,
    output wire [1:0] sends_o,  // the first word of a frame is on the wire
    output reg [31:0] cycle_o
);

  wire [DATA_W-1:0] left_out_tdata;
  wire [DATA_W/8-1:0] left_out_tkeep;
  wire left_out_tvalid, left_out_tready, left_out_tlast;
  wire [DATA_W-1:0] left_in_tdata;
  wire [DATA_W/8-1:0] left_in_tkeep;
  wire left_in_tvalid, left_in_tready, left_in_tlast;
  wire [DATA_W-1:0] right_out_tdata;
  wire [DATA_W/8-1:0] right_out_tkeep;
  wire right_out_tvalid, right_out_tready, right_out_tlast;
  wire [DATA_W-1:0] right_in_tdata;
  wire [DATA_W/8-1:0] right_in_tkeep;
  wire right_in_tvalid, right_in_tready, right_in_tlast;
  wire [DATA_W-1:0] rightward_tdata;
  wire [DATA_W/8-1:0] rightward_tkeep;
  wire rightward_tvalid, rightward_tready, rightward_tlast;
  wire [DATA_W-1:0] leftward_tdata;
  wire [DATA_W/8-1:0] leftward_tkeep;
  wire leftward_tvalid, leftward_tready, leftward_tlast;
  wire left_taken, right_taken;

  blp_link_top #(
      .DATA_W      (DATA_W),
      .WRITE_CYCLES(WRITE_CYCLES),
      .RX_DEPTH    (RX_DEPTH)
  ) left (
      .clk_i              (clk_i),
      .rst_i              (rst_i),
      .crash_i            (crash_i[0]),
      .link_i             (link_i),
      .tick_i             (tick_i),
      .cfg_beacon_i       (cfg_beacon_i),
      .cfg_retry_i        (cfg_retry_i),
      .cfg_da_i           (48'h0180C200000E),
      .cfg_sa_i           (48'h020000000001),
      .s_axis_tdata       (left_in_tdata),
      .s_axis_tkeep       (left_in_tkeep),
      .s_axis_tvalid      (left_in_tvalid),
      .s_axis_tready      (left_in_tready),
      .s_axis_tlast       (left_in_tlast),
      .s_axis_tuser       (1'b0),
      .m_axis_tdata       (left_out_tdata),
      .m_axis_tkeep       (left_out_tkeep),
      .m_axis_tvalid      (left_out_tvalid),
      .m_axis_tready      (left_out_tready),
      .m_axis_tlast       (left_out_tlast),
      .m_axis_tuser       (),
      .app_offer_valid_i  (request_i[4*0+0]),
      .app_offer_ready_o  (granted_o[4*0+0]),
      .app_offer_slot_i   (left_slot_i),
      .app_cancel_valid_i (request_i[4*0+1]),
      .app_cancel_ready_o (granted_o[4*0+1]),
      .app_consume_valid_i(request_i[4*0+2]),
      .app_consume_ready_o(granted_o[4*0+2]),
      .app_consume_round_i(register_o[692*0+:48]),
      .app_answer_i       (answer_i[2*0+:2]),
      .app_give_slot_i    (left_give_i),
      .tell_refused_o     (told_o[4*0+0]),
      .tell_committed_o   (told_o[4*0+1]),
      .tell_reversed_o    (told_o[4*0+2]),
      .tell_alarm_o       (told_o[4*0+3]),
      .tell_slot_o        (),
      .inbox_o            (),
      .inbox_round_o      (),
      .format_valid_i     (request_i[4*0+3]),
      .format_ready_o     (granted_o[4*0+3]),
      .format_ruled_i     (1'b1),
      .format_nvid_i      (nvid_i),
      .state_o            (state_o[3*0+:3]),
      .volatile_o         (volatile_o[5*0+:5]),
      .stat_valid_o       (),
      .stat_row_o         (),
      .stat_read_row_i    (read_row_i),
      .stat_read_drop_i   (4'd0),
      .stat_rows_o        (rows_o[32*0+:32]),
      .stat_drops_o       (),
      .stat_bad_epoch_o   (bad_epoch_o[32*0+:32]),
      .stat_missed_o      (missed_o[32*0+:32]),
      .tear_i             (~register_o[692*0+:692]),
      .tear_sel_i         (tear_sel_i[0]),
      .register_o         (register_o[692*0+:692])
  );

  blp_link_top #(
      .DATA_W      (DATA_W),
      .WRITE_CYCLES(WRITE_CYCLES),
      .RX_DEPTH    (RX_DEPTH)
  ) right (
      .clk_i              (clk_i),
      .rst_i              (rst_i),
      .crash_i            (crash_i[1]),
      .link_i             (link_i),
      .tick_i             (tick_i),
      .cfg_beacon_i       (cfg_beacon_i),
      .cfg_retry_i        (cfg_retry_i),
      .cfg_da_i           (48'h0180C200000E),
      .cfg_sa_i           (48'h020000000002),
      .s_axis_tdata       (right_in_tdata),
      .s_axis_tkeep       (right_in_tkeep),
      .s_axis_tvalid      (right_in_tvalid),
      .s_axis_tready      (right_in_tready),
      .s_axis_tlast       (right_in_tlast),
      .s_axis_tuser       (1'b0),
      .m_axis_tdata       (right_out_tdata),
      .m_axis_tkeep       (right_out_tkeep),
      .m_axis_tvalid      (right_out_tvalid),
      .m_axis_tready      (right_out_tready),
      .m_axis_tlast       (right_out_tlast),
      .m_axis_tuser       (),
      .app_offer_valid_i  (request_i[4*1+0]),
      .app_offer_ready_o  (granted_o[4*1+0]),
      .app_offer_slot_i   (right_slot_i),
      .app_cancel_valid_i (request_i[4*1+1]),
      .app_cancel_ready_o (granted_o[4*1+1]),
      .app_consume_valid_i(request_i[4*1+2]),
      .app_consume_ready_o(granted_o[4*1+2]),
      .app_consume_round_i(register_o[692*1+:48]),
      .app_answer_i       (answer_i[2*1+:2]),
      .app_give_slot_i    (right_give_i),
      .tell_refused_o     (told_o[4*1+0]),
      .tell_committed_o   (told_o[4*1+1]),
      .tell_reversed_o    (told_o[4*1+2]),
      .tell_alarm_o       (told_o[4*1+3]),
      .tell_slot_o        (),
      .inbox_o            (),
      .inbox_round_o      (),
      .format_valid_i     (request_i[4*1+3]),
      .format_ready_o     (granted_o[4*1+3]),
      .format_ruled_i     (1'b1),
      .format_nvid_i      (nvid_i),
      .state_o            (state_o[3*1+:3]),
      .volatile_o         (volatile_o[5*1+:5]),
      .stat_valid_o       (),
      .stat_row_o         (),
      .stat_read_row_i    (read_row_i),
      .stat_read_drop_i   (4'd0),
      .stat_rows_o        (rows_o[32*1+:32]),
      .stat_drops_o       (),
      .stat_bad_epoch_o   (bad_epoch_o[32*1+:32]),
      .stat_missed_o      (missed_o[32*1+:32]),
      .tear_i             (~register_o[692*1+:692]),
      .tear_sel_i         (tear_sel_i[1]),
      .register_o         (register_o[692*1+:692])
  );

  lossy_channel #(
      .DATA_W(DATA_W),
      .SEED  (SEED + 0)
  ) u_rightward (
      .clk_i        (clk_i),
      .rst_i        (rst_i),
      .link_i       (link_i),
      .lose_i       (lose_i),
      .spoil_i      (spoil_i),
      .repeat_i     (repeat_i),
      .s_axis_tdata (left_out_tdata),
      .s_axis_tkeep (left_out_tkeep),
      .s_axis_tvalid(left_out_tvalid && DIRECT == 0),
      .s_axis_tready(left_taken),
      .s_axis_tlast (left_out_tlast),
      .m_axis_tdata (rightward_tdata),
      .m_axis_tkeep (rightward_tkeep),
      .m_axis_tvalid(rightward_tvalid),
      .m_axis_tready(rightward_tready),
      .m_axis_tlast (rightward_tlast)
  );
  assign right_in_tdata    = DIRECT != 0 ? left_out_tdata : rightward_tdata;
  assign right_in_tkeep    = DIRECT != 0 ? left_out_tkeep : rightward_tkeep;
  assign right_in_tvalid   = DIRECT != 0 ? left_out_tvalid : rightward_tvalid;
  assign right_in_tlast    = DIRECT != 0 ? left_out_tlast : rightward_tlast;
  assign rightward_tready      = right_in_tready;
  assign left_out_tready  = DIRECT != 0 ? right_in_tready : left_taken;

  lossy_channel #(
      .DATA_W(DATA_W),
      .SEED  (SEED + 7)
  ) u_leftward (
      .clk_i        (clk_i),
      .rst_i        (rst_i),
      .link_i       (link_i),
      .lose_i       (lose_i),
      .spoil_i      (spoil_i),
      .repeat_i     (repeat_i),
      .s_axis_tdata (right_out_tdata),
      .s_axis_tkeep (right_out_tkeep),
      .s_axis_tvalid(right_out_tvalid && DIRECT == 0),
      .s_axis_tready(right_taken),
      .s_axis_tlast (right_out_tlast),
      .m_axis_tdata (leftward_tdata),
      .m_axis_tkeep (leftward_tkeep),
      .m_axis_tvalid(leftward_tvalid),
      .m_axis_tready(leftward_tready),
      .m_axis_tlast (leftward_tlast)
  );
  assign left_in_tdata    = DIRECT != 0 ? right_out_tdata : leftward_tdata;
  assign left_in_tkeep    = DIRECT != 0 ? right_out_tkeep : leftward_tkeep;
  assign left_in_tvalid   = DIRECT != 0 ? right_out_tvalid : leftward_tvalid;
  assign left_in_tlast    = DIRECT != 0 ? right_out_tlast : leftward_tlast;
  assign leftward_tready      = left_in_tready;
  assign right_out_tready  = DIRECT != 0 ? left_in_tready : right_taken;

  reg [1:0] inside_q;
  assign sends_o = {right_out_tvalid && !inside_q[1], left_out_tvalid && !inside_q[0]};
  always @(posedge clk_i) begin
    cycle_o <= rst_i ? 32'd0 : cycle_o + 32'd1;
    if (left_out_tvalid && left_out_tready) inside_q[0] <= !left_out_tlast;
    if (right_out_tvalid && right_out_tready) inside_q[1] <= !right_out_tlast;
    if (rst_i) inside_q <= 2'b00;
  end

endmodule

`resetall
