// Proof: a register with one slot that is written in place, as no register should be.  The proofs must refute it.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_nvreg_in_place #(
    parameter WIDTH = 32,
    parameter WRITE_CYCLES = 10
) (
    input wire clk_i,
    input wire rst_i,
    input wire crash_i,

    input  wire             wr_valid_i,
    output wire             wr_ready_o,
    input  wire [WIDTH-1:0] wr_data_i,
    output wire             wr_done_o,
    output wire [WIDTH-1:0] rd_data_o,

    input wire [WIDTH-1:0] tear_i,
    input wire             tear_sel_i
);

  reg [WIDTH-1:0] slot_q, data_q;
  reg [7:0] left_q;
  reg busy_q, done_q;
  initial begin
    slot_q = {WIDTH{1'b0}};
    busy_q = 1'b0;
  end

  assign wr_ready_o = !busy_q && !crash_i && !rst_i;
  assign wr_done_o  = done_q;
  assign rd_data_o  = slot_q;

  always @(posedge clk_i) begin
    done_q <= busy_q && left_q == 8'd0;
    if (busy_q) left_q <= left_q - 8'd1;
    if (busy_q && left_q == 8'd0) busy_q <= 1'b0;
    if (busy_q && (left_q == 8'd0 || crash_i)) slot_q <= crash_i ? tear_i : data_q;
    if (wr_valid_i && wr_ready_o) begin
      data_q <= wr_data_i;
      left_q <= WRITE_CYCLES;
      busy_q <= 1'b1;
    end
    if (rst_i || crash_i) begin
      busy_q <= 1'b0;
      done_q <= 1'b0;
    end
  end

endmodule

`resetall
