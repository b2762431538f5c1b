// Bench: one endpoint and its register; what goes in and out is gathered into few wide ports, which are quicker to reach.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module endpoint_bench #(
    parameter WRITE_CYCLES = 2,
    parameter WINDOW_W = 16
) (
    input wire clk_i,
    input wire rst_i,
    input wire crash_i,
    input wire tear_sel_i,

    // {link_down, link_up, format, rx, timer, cancel, consume, offer}: requests, and below who is granted
    input wire [  7:0] request_i,
    input wire         tx_ready_i,
    input wire [  1:0] answer_i,
    input wire         ruled_i,
    input wire [392:0] frame_i,    // {slice0, src, dst, slot}
    input wire [200:0] slot_i,     // what is offered or given
    input wire [ 47:0] round_i,    // what is consumed
    input wire [ 63:0] nvid_i,

    // {granted, stat_valid, row, drop, bad_epoch, refused, committed, reversed, alarm, tx_valid, state, volatile, done}
    output wire [34:0] now_o,
    // {type, cancel_req, credit, heard, round, epoch, echo, src, dst, slot}
    output wire [479:0] sent_o,
    output wire [200:0] tell_slot_o,
    output wire [691:0] register_o
);

  localparam REGISTER_W = 692;

  wire nv_write, nv_ready, nv_done;
  wire [REGISTER_W-1:0] nv_data;
  wire [3:0] tx_type;
  wire tx_cancel_req, tx_credit, tx_heard;
  wire [WINDOW_W-1:0] tx_round;
  wire [15:0] tx_round_wide = {{16 - WINDOW_W{1'b0}}, tx_round};
  wire [63:0] tx_epoch, tx_echo, tx_src, tx_dst;
  wire [200:0] tx_slot;
  wire [7:0] granted;
  wire stat_valid, bad_epoch, refused, committed, reversed, alarm, tx_valid;
  wire [6:0] row;
  wire [3:0] drop;
  wire [2:0] state;
  wire [4:0] bits;

  assign now_o = {granted, stat_valid, row, drop, bad_epoch, refused, committed, reversed, alarm, tx_valid, state, bits,
                  nv_done};
  assign sent_o = {tx_type, tx_cancel_req, tx_credit, tx_heard, tx_round_wide, tx_epoch, tx_echo, tx_src, tx_dst,
                   tx_slot};

  blp_endpoint #(
      .WINDOW_W(WINDOW_W)
  ) dut (
      .clk_i              (clk_i),
      .rst_i              (rst_i),
      .crash_i            (crash_i),
      .link_down_valid_i  (request_i[7]),
      .link_down_ready_o  (granted[7]),
      .link_up_valid_i    (request_i[6]),
      .link_up_ready_o    (granted[6]),
      .format_valid_i     (request_i[5]),
      .format_ready_o     (granted[5]),
      .rx_valid_i         (request_i[4]),
      .rx_ready_o         (granted[4]),
      .timer_valid_i      (request_i[3]),
      .timer_ready_o      (granted[3]),
      .app_cancel_valid_i (request_i[2]),
      .app_cancel_ready_o (granted[2]),
      .app_consume_valid_i(request_i[1]),
      .app_consume_ready_o(granted[1]),
      .app_offer_valid_i  (request_i[0]),
      .app_offer_ready_o  (granted[0]),
      .rx_slice0_i        (frame_i[392:329]),
      .rx_round_i         (frame_i[361+:WINDOW_W]),
      .rx_src_i           (frame_i[328:265]),
      .rx_dst_i           (frame_i[264:201]),
      .rx_slot_i          (frame_i[200:0]),
      .tx_valid_o         (tx_valid),
      .tx_ready_i         (tx_ready_i),
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
      .app_offer_slot_i   (slot_i),
      .app_consume_round_i(round_i),
      .app_answer_i       (answer_i),
      .app_give_slot_i    (slot_i),
      .tell_refused_o     (refused),
      .tell_committed_o   (committed),
      .tell_reversed_o    (reversed),
      .tell_alarm_o       (alarm),
      .tell_slot_o        (tell_slot_o),
      .inbox_o            (),
      .inbox_round_o      (),
      .format_ruled_i     (ruled_i),
      .format_nvid_i      (nvid_i),
      .nv_write_o         (nv_write),
      .nv_ready_i         (nv_ready),
      .nv_data_o          (nv_data),
      .nv_done_i          (nv_done),
      .nv_data_i          (register_o),
      .state_o            (state),
      .volatile_o         (bits),
      .stat_valid_o       (stat_valid),
      .stat_row_o         (row),
      .stat_drop_o        (drop),
      .stat_bad_epoch_o   (bad_epoch)
  );

  blp_nvreg #(
      .WIDTH       (REGISTER_W),
      .WRITE_CYCLES(WRITE_CYCLES),
      .FACTORY     ({64'd1, 112'd0, 2'd1, 514'd0})
  ) u_nvreg (
      .clk_i     (clk_i),
      .rst_i     (rst_i),
      .crash_i   (crash_i),
      .wr_valid_i(nv_write),
      .wr_ready_o(nv_ready),
      .wr_data_i (nv_data),
      .wr_done_o (nv_done),
      .rd_data_o (register_o),
      .tear_i    (~nv_data),
      .tear_sel_i(tear_sel_i)
  );

endmodule

`resetall
