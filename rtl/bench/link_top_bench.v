// Bench: one end of a link between a source and a sink of frames.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module link_top_bench #(
    parameter DATA_W = 64,
    parameter WRITE_CYCLES = 3,
    parameter OCTETS = 128
) (
    input wire clk_i,
    input wire rst_i,
    input wire crash_i,
    input wire tear_sel_i,
    input wire link_i,
    input wire tick_i,
    input wire [31:0] cfg_beacon_i,
    input wire [31:0] cfg_retry_i,

    input  wire [8*OCTETS-1:0] frame_i,
    input  wire [        15:0] length_i,
    input  wire                bad_i,
    input  wire                put_i,
    output wire                taken_o,
    input  wire [         7:0] source_pause_i,
    input  wire [         7:0] sink_pause_i,
    output wire                arrived_o,
    output wire [8*OCTETS-1:0] frame_o,
    output wire [        15:0] length_o,
    output wire                bad_o,

    // {format, consume, cancel, offer}
    input  wire [  3:0] request_i,
    output wire [  3:0] granted_o,
    input  wire [  1:0] answer_i,
    input  wire [200:0] slot_i,
    input  wire [ 47:0] consumed_i,
    input  wire [ 63:0] nvid_i,
    output wire [  3:0] told_o,
    output wire [  2:0] state_o,
    output wire [  4:0] volatile_o,
    input  wire [  6:0] read_row_i,
    input  wire [  3:0] read_drop_i,
    output wire [ 31:0] rows_o,
    output wire [ 31:0] drops_o,
    output wire [ 31:0] bad_epoch_o,
    output wire [ 31:0] missed_o,
    output wire [691:0] register_o
);

  wire [DATA_W-1:0] in_tdata, out_tdata;
  wire [DATA_W/8-1:0] in_tkeep, out_tkeep;
  wire in_tvalid, in_tready, in_tlast, in_tuser;
  wire out_tvalid, out_tready, out_tlast, out_tuser;

  frame_source #(
      .DATA_W(DATA_W),
      .OCTETS(OCTETS)
  ) source (
      .clk_i        (clk_i),
      .rst_i        (rst_i),
      .frame_i      (frame_i),
      .length_i     (length_i),
      .bad_i        (bad_i),
      .put_i        (put_i),
      .taken_o      (taken_o),
      .pause_i      (source_pause_i),
      .m_axis_tdata (in_tdata),
      .m_axis_tkeep (in_tkeep),
      .m_axis_tvalid(in_tvalid),
      .m_axis_tready(in_tready),
      .m_axis_tlast (in_tlast),
      .m_axis_tuser (in_tuser),
      .first_at_o   (),
      .last_at_o    ()
  );

  blp_link_top #(
      .DATA_W      (DATA_W),
      .WRITE_CYCLES(WRITE_CYCLES)
  ) dut (
      .clk_i              (clk_i),
      .rst_i              (rst_i),
      .crash_i            (crash_i),
      .link_i             (link_i),
      .tick_i             (tick_i),
      .cfg_beacon_i       (cfg_beacon_i),
      .cfg_retry_i        (cfg_retry_i),
      .cfg_da_i           (48'h0180C200000E),
      .cfg_sa_i           (48'h020000000001),
      .s_axis_tdata       (in_tdata),
      .s_axis_tkeep       (in_tkeep),
      .s_axis_tvalid      (in_tvalid),
      .s_axis_tready      (in_tready),
      .s_axis_tlast       (in_tlast),
      .s_axis_tuser       (in_tuser),
      .m_axis_tdata       (out_tdata),
      .m_axis_tkeep       (out_tkeep),
      .m_axis_tvalid      (out_tvalid),
      .m_axis_tready      (out_tready),
      .m_axis_tlast       (out_tlast),
      .m_axis_tuser       (out_tuser),
      .app_offer_valid_i  (request_i[0]),
      .app_offer_ready_o  (granted_o[0]),
      .app_offer_slot_i   (slot_i),
      .app_cancel_valid_i (request_i[1]),
      .app_cancel_ready_o (granted_o[1]),
      .app_consume_valid_i(request_i[2]),
      .app_consume_ready_o(granted_o[2]),
      .app_consume_round_i(consumed_i),
      .app_answer_i       (answer_i),
      .app_give_slot_i    (slot_i),
      .tell_refused_o     (told_o[0]),
      .tell_committed_o   (told_o[1]),
      .tell_reversed_o    (told_o[2]),
      .tell_alarm_o       (told_o[3]),
      .tell_slot_o        (),
      .inbox_o            (),
      .inbox_round_o      (),
      .format_valid_i     (request_i[3]),
      .format_ready_o     (granted_o[3]),
      .format_ruled_i     (1'b1),
      .format_nvid_i      (nvid_i),
      .state_o            (state_o),
      .volatile_o         (volatile_o),
      .stat_valid_o       (),
      .stat_row_o         (),
      .stat_read_row_i    (read_row_i),
      .stat_read_drop_i   (read_drop_i),
      .stat_rows_o        (rows_o),
      .stat_drops_o       (drops_o),
      .stat_bad_epoch_o   (bad_epoch_o),
      .stat_missed_o      (missed_o),
      .tear_i             (~register_o),
      .tear_sel_i         (tear_sel_i),
      .register_o         (register_o)
  );

  frame_sink #(
      .DATA_W(DATA_W),
      .OCTETS(OCTETS)
  ) sink (
      .clk_i        (clk_i),
      .rst_i        (rst_i),
      .s_axis_tdata (out_tdata),
      .s_axis_tkeep (out_tkeep),
      .s_axis_tvalid(out_tvalid),
      .s_axis_tready(out_tready),
      .s_axis_tlast (out_tlast),
      .s_axis_tuser (out_tuser),
      .pause_i      (sink_pause_i),
      .arrived_o    (arrived_o),
      .frame_o      (frame_o),
      .length_o     (length_o),
      .bad_o        (bad_o),
      .first_at_o   (),
      .last_at_o    (),
      .bubbles_o    (),
      .faults_o     ()
  );

endmodule

`resetall
