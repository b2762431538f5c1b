// Proof: what a non-volatile register promises, for a power loss or a reset in any cycle, any number of them, and any
// value that the cells then hold.  The macro NVREG names the register.
//
// - A reader gets the value that was there before a write, or the one that the write brings, and nothing else.
// - Once a write is done its value stays, whatever happens, until another write is taken.
// - After a power loss the value is settled: it does not change without a write.
// - A write that nothing strikes is done after the stated cycles, and not before.
// - Nothing is taken in a reset or while the power is off.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module nvreg_rules #(
    parameter WIDTH = 3,
    parameter WRITE_CYCLES = 2
) (
    input wire             clk_i,
    input wire             rst_i,
    input wire             crash_i,
    input wire             wr_valid_i,
    input wire [WIDTH-1:0] wr_data_i,
    input wire [WIDTH-1:0] tear_i,
    input wire             tear_sel_i
);

  localparam LATENCY = WRITE_CYCLES + 3;

  wire wr_ready, wr_done;
  wire [WIDTH-1:0] rd_data;

  `NVREG #(
      .WIDTH       (WIDTH),
      .WRITE_CYCLES(WRITE_CYCLES)
  ) dut (
      .clk_i     (clk_i),
      .rst_i     (rst_i),
      .crash_i   (crash_i),
      .wr_valid_i(wr_valid_i),
      .wr_ready_o(wr_ready),
      .wr_data_i (wr_data_i),
      .wr_done_o (wr_done),
      .rd_data_o (rd_data),
      .tear_i    (tear_i),
      .tear_sel_i(tear_sel_i)
  );

  // The settled value; the one that a write under way brings, and for how many cycles; whether it was just struck.
  reg [WIDTH-1:0] settled_q, coming_q;
  reg under_way_q, struck_q, began_q;
  reg [3:0] age_q;
  initial begin
    settled_q   = {WIDTH{1'b0}};
    under_way_q = 1'b0;
    struck_q    = 1'b0;
    began_q     = 1'b0;
  end

  wire taken = wr_valid_i && wr_ready;
  wire strike = rst_i || crash_i;

  always @(posedge clk_i) begin
    began_q <= 1'b1;
    if (!began_q) assume (rst_i);

    age_q <= age_q + 4'd1;
    if (taken) begin
      coming_q <= wr_data_i;
      age_q    <= 4'd1;
    end
    under_way_q <= !strike && (taken || (under_way_q && !wr_done));
    struck_q    <= strike && (under_way_q || taken) && !wr_done;
    if (wr_done || struck_q) settled_q <= rd_data;

    if (began_q) begin
      assert (rd_data == settled_q || ((under_way_q || struck_q) && rd_data == coming_q));
      if (wr_done) assert (under_way_q && rd_data == coming_q && age_q == LATENCY);
      if (under_way_q && !wr_done) assert (age_q < LATENCY && !wr_ready);
      if (under_way_q && !wr_done) assert (rd_data == settled_q || age_q == LATENCY);
      if (!under_way_q && !strike) assert (wr_ready);
      if (strike) assert (!wr_ready);

      cover (wr_done && settled_q != coming_q);
      cover (struck_q && rd_data == settled_q && settled_q != coming_q);
      cover (struck_q && rd_data == coming_q && settled_q != coming_q);
    end
  end

endmodule

`resetall
