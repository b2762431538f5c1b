// Verifies and takes off the frame check sequence of the frames of a stream.
//
// A frame goes out without its FCS.  One that arrived spoilt goes out too, and `tuser` of its last word says so (its
// FCS does not match, or `s_axis_tuser` was set with its last word): what follows drops it, as a parser must that has
// no use for half a frame, or a FIFO that drops bad frames.  A runt of four octets or fewer leaves nothing to send:
// it is dropped whole and counted.
//
// Latency: 2 cycles from a word taken to the same word offered with DATA_W 64, 5 with DATA_W 8, as long as words come
// in without a pause: a word goes out only once it is known that the FCS does not begin in it.  Throughput: a word a
// cycle, frames back to back.  `s_axis_tready` depends on `m_axis_tready` in the same cycle.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module fcs_check #(
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

    output wire [  DATA_W-1:0] m_axis_tdata,
    output wire [DATA_W/8-1:0] m_axis_tkeep,
    output wire                m_axis_tvalid,
    input  wire                m_axis_tready,
    output wire                m_axis_tlast,
    output wire                m_axis_tuser,

    // Each frame is counted once, 2 cycles after its last word has been judged.
    output wire [STAT_W-1:0] stat_good_o,
    output wire [STAT_W-1:0] stat_bad_fcs_o,
    output wire [STAT_W-1:0] stat_error_o,    // the FCS matches, but `s_axis_tuser` was set
    output wire [STAT_W-1:0] stat_runt_o
);

  localparam KEEP_W = DATA_W / 8;
  localparam HOLD = KEEP_W < 4 ? 4 / KEEP_W : 1;  // words that the FCS can take, and so many are held back
  localparam [2:0] FULL = HOLD[2:0];
  localparam [31:0] RESIDUE = 32'hDEBB20E3;  // of a frame with its right FCS

  generate
    if (DATA_W != 8 && DATA_W != 64) begin : g_check_data_w
      DATA_W_must_be_8_or_64 u_stop ();
    end
  endgenerate

  // The word taken last, and the CRC up to and with it.
  reg [DATA_W-1:0] data_q;
  reg [KEEP_W-1:0] keep_q;
  reg last_q, user_q, valid_q, first_q;
  reg [31:0] crc_q;
  wire [31:0] crc_d;

  // The words before it, the oldest in the low bits.
  reg [HOLD*DATA_W-1:0] hold_q;
  reg [2:0] held_q;
  // The held word is the frame's last: no FCS follows it.
  reg final_q, final_bad_q;
  reg [KEEP_W-1:0] final_keep_q;

  crc32 #(
      .DATA_W(DATA_W)
  ) u_crc (
      .crc_i (first_q ? 32'hFFFFFFFF : crc_q),
      .data_i(s_axis_tdata),
      .keep_i(s_axis_tkeep),
      .crc_o (crc_d)
  );

  // A last word of four octets or fewer holds nothing but FCS, and the oldest held word is the last to go out.
  wire fcs_only;  // the last word holds octets of the FCS only
  wire [KEEP_W-1:0] end_keep;  // of the held word, then
  wire [KEEP_W-1:0] self_keep;  // of the last word itself, otherwise
  wire [HOLD*DATA_W-1:0] pushed;  // the held words once the last one has joined them
  generate
    if (KEEP_W > 4) begin : g_wide
      assign fcs_only    = !keep_q[4];
      assign end_keep  = {keep_q[KEEP_W-5:0], 4'hF};
      assign self_keep = {4'h0, keep_q[KEEP_W-1:4]};
      assign pushed    = data_q;
    end else begin : g_narrow
      assign fcs_only    = 1'b1;
      assign end_keep  = {KEEP_W{1'b1}};
      assign self_keep = keep_q;
      assign pushed    = {data_q, hold_q[HOLD*DATA_W-1:DATA_W]};
    end
  endgenerate

  wire full = held_q == FULL;
  wire bad_fcs = crc_q != RESIDUE;
  wire ends = last_q && fcs_only;
  wire alone = final_q || held_q == 3'd0;  // no held word is of the same frame as the word taken last
  // The word moves on as soon as there is a place for it.
  wire moves = valid_q && (!full || m_axis_tready);
  wire taken = s_axis_tvalid && s_axis_tready;
  wire sent = m_axis_tvalid && m_axis_tready;

  assign s_axis_tready = !valid_q || moves;
  assign m_axis_tvalid = final_q || (full && valid_q);
  assign m_axis_tdata  = hold_q[DATA_W-1:0];
  assign m_axis_tlast  = final_q || ends;
  assign m_axis_tkeep  = final_q ? final_keep_q : ends ? end_keep : {KEEP_W{1'b1}};
  assign m_axis_tuser  = final_q ? final_bad_q : ends && (bad_fcs || user_q);

  always @(posedge clk_i) begin
    if (taken) begin
      data_q  <= s_axis_tdata;
      keep_q  <= s_axis_tkeep;
      last_q  <= s_axis_tlast;
      user_q  <= s_axis_tuser;
      crc_q   <= crc_d;
      first_q <= s_axis_tlast;
    end
    if (taken || moves) valid_q <= taken;

    if (moves) begin
      hold_q       <= pushed;
      held_q       <= ends ? 3'd0 : alone ? 3'd1 : full ? FULL : held_q + 3'd1;
      final_q      <= last_q && !ends;
      final_keep_q <= self_keep;
      final_bad_q  <= bad_fcs || user_q;
    end else if (sent) begin
      held_q  <= 3'd0;
      final_q <= 1'b0;
    end

    if (rst_i) begin
      valid_q <= 1'b0;
      first_q <= 1'b1;
      held_q  <= 3'd0;
      final_q <= 1'b0;
    end
  end

  // Counted a cycle after the verdict, which is a long way from the CRC.
  wire judged = moves && last_q;
  wire runt = ends && (final_q || !full);
  reg count_good_q, count_bad_fcs_q, count_error_q, count_runt_q;
  reg [STAT_W-1:0] good_q, bad_fcs_q, error_q, runt_q;
  assign stat_good_o    = good_q;
  assign stat_bad_fcs_o = bad_fcs_q;
  assign stat_error_o   = error_q;
  assign stat_runt_o    = runt_q;

  always @(posedge clk_i) begin
    count_good_q    <= judged && !runt && !bad_fcs && !user_q && !rst_i;
    count_bad_fcs_q <= judged && !runt && bad_fcs && !rst_i;
    count_error_q   <= judged && !runt && !bad_fcs && user_q && !rst_i;
    count_runt_q    <= judged && runt && !rst_i;
    if (count_good_q) good_q <= good_q + 1'b1;
    if (count_bad_fcs_q) bad_fcs_q <= bad_fcs_q + 1'b1;
    if (count_error_q) error_q <= error_q + 1'b1;
    if (count_runt_q) runt_q <= runt_q + 1'b1;
    if (rst_i) begin
      good_q    <= {STAT_W{1'b0}};
      bad_fcs_q <= {STAT_W{1'b0}};
      error_q   <= {STAT_W{1'b0}};
      runt_q    <= {STAT_W{1'b0}};
    end
  end

`ifdef FORMAL
  `include "fcs_check_formal.vh"
`endif

endmodule

`resetall
