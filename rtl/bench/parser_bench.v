// Bench: octets as they come from the wire through the FCS check and the parser.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module parser_bench #(
    parameter DATA_W = 64,
    parameter OCTETS = 256
) (
    input wire clk_i,
    input wire rst_i,

    input  wire [8*OCTETS-1:0] frame_i,
    input  wire [        15:0] length_i,
    input  wire                bad_i,
    input  wire                put_i,
    output wire                taken_o,
    input  wire [         7:0] source_pause_i,

    output wire         frame_valid_o,
    output wire [  3:0] type_o,
    output wire         slot_o,
    output wire         cancel_req_o,
    output wire         credit_o,
    output wire         heard_o,
    output wire [ 15:0] round_o,
    output wire [ 31:0] epoch_o,
    output wire [ 63:0] slice0_o,
    output wire [ 63:0] echo_o,
    output wire [ 63:0] src_o,
    output wire [ 63:0] dst_o,
    output wire [191:0] payload_o,
    output wire [  7:0] payload_length_o
);

  wire [DATA_W-1:0] in_tdata, frame_tdata;
  wire [DATA_W/8-1:0] in_tkeep, frame_tkeep;
  wire in_tvalid, frame_tvalid;
  wire in_tready, frame_tready;
  wire in_tlast, frame_tlast;
  wire in_tuser, frame_tuser;

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

  fcs_check #(
      .DATA_W(DATA_W)
  ) u_fcs_check (
      .clk_i         (clk_i),
      .rst_i         (rst_i),
      .s_axis_tdata  (in_tdata),
      .s_axis_tkeep  (in_tkeep),
      .s_axis_tvalid (in_tvalid),
      .s_axis_tready (in_tready),
      .s_axis_tlast  (in_tlast),
      .s_axis_tuser  (in_tuser),
      .m_axis_tdata  (frame_tdata),
      .m_axis_tkeep  (frame_tkeep),
      .m_axis_tvalid (frame_tvalid),
      .m_axis_tready (frame_tready),
      .m_axis_tlast  (frame_tlast),
      .m_axis_tuser  (frame_tuser),
      .stat_good_o   (),
      .stat_bad_fcs_o(),
      .stat_error_o  (),
      .stat_runt_o   ()
  );

  blp_parser #(
      .DATA_W(DATA_W)
  ) dut (
      .clk_i                     (clk_i),
      .rst_i                     (rst_i),
      .s_axis_tdata              (frame_tdata),
      .s_axis_tkeep              (frame_tkeep),
      .s_axis_tvalid             (frame_tvalid),
      .s_axis_tready             (frame_tready),
      .s_axis_tlast              (frame_tlast),
      .s_axis_tuser              (frame_tuser),
      .frame_valid_o             (frame_valid_o),
      .type_o                    (type_o),
      .slot_o                    (slot_o),
      .cancel_req_o              (cancel_req_o),
      .credit_o                  (credit_o),
      .heard_o                   (heard_o),
      .round_o                   (round_o),
      .epoch_o                   (epoch_o),
      .slice0_o                  (slice0_o),
      .echo_o                    (echo_o),
      .src_o                     (src_o),
      .dst_o                     (dst_o),
      .payload_o                 (payload_o),
      .length_o                  (payload_length_o),
      .stat_accepted_o           (),
      .stat_drop_length_o        (),
      .stat_drop_fcs_o           (),
      .stat_drop_ethertype_o     (),
      .stat_drop_version_o       (),
      .stat_drop_crc_o           (),
      .stat_drop_type_o          (),
      .stat_drop_padding_o       (),
      .stat_drop_payload_length_o()
  );

endmodule

`resetall
