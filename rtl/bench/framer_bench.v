// Bench: snapshots through the framer and the FCS, as they go on the wire.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module framer_bench #(
    parameter DATA_W = 64,
    parameter OCTETS = 128
) (
    input wire clk_i,
    input wire rst_i,

    input  wire [ 47:0] cfg_da_i,
    input  wire [ 47:0] cfg_sa_i,
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
    input  wire [  7:0] payload_length_i,

    input  wire [         7:0] sink_pause_i,
    output wire                arrived_o,
    output wire [8*OCTETS-1:0] frame_o,
    output wire [        15:0] length_o,
    output wire                bad_o
);

  wire [DATA_W-1:0] frame_tdata, out_tdata;
  wire [DATA_W/8-1:0] frame_tkeep, out_tkeep;
  wire frame_tvalid, out_tvalid;
  wire frame_tready, out_tready;
  wire frame_tlast, out_tlast;
  wire frame_tuser, out_tuser;

  blp_framer #(
      .DATA_W(DATA_W)
  ) dut (
      .clk_i        (clk_i),
      .rst_i        (rst_i),
      .cfg_da_i     (cfg_da_i),
      .cfg_sa_i     (cfg_sa_i),
      .snap_valid_i (snap_valid_i),
      .snap_ready_o (snap_ready_o),
      .type_i       (type_i),
      .slot_i       (slot_i),
      .cancel_req_i (cancel_req_i),
      .credit_i     (credit_i),
      .heard_i      (heard_i),
      .round_i      (round_i),
      .epoch_i      (epoch_i),
      .echo_i       (echo_i),
      .src_i        (src_i),
      .dst_i        (dst_i),
      .payload_i    (payload_i),
      .length_i     (payload_length_i),
      .m_axis_tdata (frame_tdata),
      .m_axis_tkeep (frame_tkeep),
      .m_axis_tvalid(frame_tvalid),
      .m_axis_tready(frame_tready),
      .m_axis_tlast (frame_tlast),
      .m_axis_tuser (frame_tuser),
      .stat_frames_o()
  );

  fcs_insert #(
      .DATA_W(DATA_W)
  ) u_fcs_insert (
      .clk_i        (clk_i),
      .rst_i        (rst_i),
      .s_axis_tdata (frame_tdata),
      .s_axis_tkeep (frame_tkeep),
      .s_axis_tvalid(frame_tvalid),
      .s_axis_tready(frame_tready),
      .s_axis_tlast (frame_tlast),
      .s_axis_tuser (frame_tuser),
      .m_axis_tdata (out_tdata),
      .m_axis_tkeep (out_tkeep),
      .m_axis_tvalid(out_tvalid),
      .m_axis_tready(out_tready),
      .m_axis_tlast (out_tlast),
      .m_axis_tuser (out_tuser),
      .stat_frames_o()
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
