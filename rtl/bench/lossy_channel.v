// Bench: a wire for frames, one at a time, that loses, spoils and repeats them by chance.
//
// A frame is taken whole, then passed on: not at all (`lose_i` of 256), with one bit turned over (`spoil_i`), and once
// more behind itself (`repeat_i`).  The order is kept; while a frame is passed on no other is taken.  Without
// `link_i`, or when the power of an end goes, what is under way is lost.  The chances come from a generator that
// starts with SEED.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module lossy_channel #(
    parameter DATA_W = 64,
    parameter [31:0] SEED = 32'd1
) (
    input wire clk_i,
    input wire rst_i,
    input wire link_i,

    input wire [7:0] lose_i,
    input wire [7:0] spoil_i,
    input wire [7:0] repeat_i,

    input  wire [  DATA_W-1:0] s_axis_tdata,
    input  wire [DATA_W/8-1:0] s_axis_tkeep,
    input  wire                s_axis_tvalid,
    output wire                s_axis_tready,
    input  wire                s_axis_tlast,
    output wire [  DATA_W-1:0] m_axis_tdata,
    output wire [DATA_W/8-1:0] m_axis_tkeep,
    output wire                m_axis_tvalid,
    input  wire                m_axis_tready,
    output wire                m_axis_tlast
);

  localparam KEEP_W = DATA_W / 8;

  reg [DATA_W+KEEP_W:0] words[0:127];
  reg [6:0] filled_q, index_q, spoilt_q;
  reg passes_q, spoils_q;
  reg [31:0] noise_q;

  wire takes = s_axis_tvalid && s_axis_tready;
  wire moves = m_axis_tvalid && m_axis_tready;
  wire [DATA_W+KEEP_W:0] word = words[index_q];
  wire turned = spoils_q && index_q == spoilt_q;

  assign s_axis_tready = !passes_q;
  assign m_axis_tvalid = passes_q && link_i;
  assign m_axis_tdata  = word[DATA_W-1:0] ^ {{DATA_W - 1{1'b0}}, turned};
  assign m_axis_tkeep  = word[DATA_W+KEEP_W-1:DATA_W];
  assign m_axis_tlast  = word[DATA_W+KEEP_W];

  always @(posedge clk_i) begin
    noise_q <= {noise_q[30:0], noise_q[31] ^ noise_q[21] ^ noise_q[1] ^ noise_q[0]};
    if (takes) begin
      words[filled_q] <= {s_axis_tlast, s_axis_tkeep, s_axis_tdata};
      filled_q        <= s_axis_tlast ? 7'd0 : filled_q + 7'd1;
      if (s_axis_tlast) begin
        passes_q <= noise_q[7:0] >= lose_i;
        spoils_q <= noise_q[15:8] < spoil_i;
        spoilt_q <= {5'd0, noise_q[1:0]};
        index_q  <= 7'd0;
      end
    end
    if (moves) begin
      index_q <= m_axis_tlast ? 7'd0 : index_q + 7'd1;
      if (m_axis_tlast) begin
        passes_q <= noise_q[23:16] < repeat_i;
        spoils_q <= 1'b0;
      end
    end
    if (rst_i || !link_i) begin
      filled_q <= 7'd0;
      index_q  <= 7'd0;
      passes_q <= 1'b0;
    end
    if (rst_i) noise_q <= SEED;
  end

endmodule

`resetall
