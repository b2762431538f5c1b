// A store-and-forward FIFO: a frame goes out once it is whole, and not at all if `tuser` marks its last word.
//
// Room for 2**ADDRESS_W words.  A frame that does not fit waits at the door (`s_axis_tready`), so none may be longer.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module frame_fifo #(
    parameter DATA_W = 64,
    parameter ADDRESS_W = 8
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
    output wire                m_axis_tuser
);

  localparam WORD_W = DATA_W + DATA_W / 8 + 1;

  reg [WORD_W-1:0] words[0:(1<<ADDRESS_W)-1];
  // A bit more than the address, so that full and empty differ.
  reg [ADDRESS_W:0] written_q, whole_q, read_q;
  wire [ADDRESS_W:0] held = written_q - read_q;
  wire takes = s_axis_tvalid && s_axis_tready;

  assign s_axis_tready = !held[ADDRESS_W];
  assign m_axis_tvalid = read_q != whole_q;
  assign {m_axis_tlast, m_axis_tkeep, m_axis_tdata} = words[read_q[ADDRESS_W-1:0]];
  assign m_axis_tuser = 1'b0;

  always @(posedge clk_i) begin
    if (takes) begin
      words[written_q[ADDRESS_W-1:0]] <= {s_axis_tlast, s_axis_tkeep, s_axis_tdata};
      written_q <= s_axis_tlast && s_axis_tuser ? whole_q : written_q + 1'b1;
      if (s_axis_tlast && !s_axis_tuser) whole_q <= written_q + 1'b1;
    end
    if (m_axis_tvalid && m_axis_tready) read_q <= read_q + 1'b1;
    if (rst_i) begin
      written_q <= {ADDRESS_W + 1{1'b0}};
      whole_q   <= {ADDRESS_W + 1{1'b0}};
      read_q    <= {ADDRESS_W + 1{1'b0}};
    end
  end

endmodule

`resetall
