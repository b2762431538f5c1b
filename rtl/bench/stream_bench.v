// Bench: a module that takes a stream of frames and gives one, between a source and a sink.
// The macro DUT names the module.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module stream_bench #(
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
    input  wire [         7:0] source_pause_i,

    input  wire [         7:0] sink_pause_i,
    output wire                arrived_o,
    output wire [8*OCTETS-1:0] frame_o,
    output wire [        15:0] length_o,
    output wire                bad_o
);

  wire [DATA_W-1:0] in_tdata, out_tdata;
  wire [DATA_W/8-1:0] in_tkeep, out_tkeep;
  wire in_tvalid, out_tvalid;
  wire in_tready, out_tready;
  wire in_tlast, out_tlast;
  wire in_tuser, out_tuser;

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

  `DUT #(
      .DATA_W(DATA_W)
  ) dut (
      .clk_i        (clk_i),
      .rst_i        (rst_i),
      .s_axis_tdata (in_tdata),
      .s_axis_tkeep (in_tkeep),
      .s_axis_tvalid(in_tvalid),
      .s_axis_tready(in_tready),
      .s_axis_tlast (in_tlast),
      .s_axis_tuser (in_tuser),
      .m_axis_tdata (out_tdata),
      .m_axis_tkeep (out_tkeep),
      .m_axis_tvalid(out_tvalid),
      .m_axis_tready(out_tready),
      .m_axis_tlast (out_tlast),
      .m_axis_tuser (out_tuser)
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
