// A non-volatile register of two slots and a selector: a power loss at any cycle leaves the old value or the new one.
//
// A write goes into the slot that is not selected, and the selector's single bit then makes it the value: that is
// the commit point.  `crash_i` is the power going: it may come in any cycle and stay for any number of them.  While
// a slot is being written its cells then hold whatever `tear_i` says; in the selector's cycle the bit has its old or
// its new value, as `tear_sel_i` says.  Slots and selector outlive power and reset; all else is gone.  `rst_i` is a
// reset with the power on: a write under way is given up, in a slot that is not selected, or completed.
//
// Assumed, not proven: that the selector is one cell, written at once.  A sequence number and a check over the value
// in its place would need no such cell, but a torn write could then match its check by chance.
// Not modelled: hold-up energy (it would only make a write that began also end), wear, read disturb.
//
// Latency: WRITE_CYCLES + 3 cycles from a write taken to `wr_done_o`; `rd_data_o` is new in the cycle of
// `wr_done_o`.  One write at a time.  WRITE_CYCLES is what the cells take, and may be 0.
//
// The slots are registers here: a model for simulation and proof, and the logic around a real memory's two words.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_nvreg #(
    parameter WIDTH = 32,
    parameter WRITE_CYCLES = 10,
    parameter [WIDTH-1:0] FACTORY = {WIDTH{1'b0}}  // what it holds when it is made
) (
    input wire clk_i,
    input wire rst_i,
    input wire crash_i,

    input  wire             wr_valid_i,
    output wire             wr_ready_o,
    input  wire [WIDTH-1:0] wr_data_i,
    output wire             wr_done_o,   // one cycle: the value is durable

    output wire [WIDTH-1:0] rd_data_o,

    // Bench and proof alone; tie to zero otherwise.
    input wire [WIDTH-1:0] tear_i,
    input wire             tear_sel_i
);

  localparam COUNT_W = $clog2(WRITE_CYCLES + 1) + 1;

  generate
    if (WIDTH < 1 || WRITE_CYCLES < 0) begin : g_check
      WIDTH_must_be_positive_and_WRITE_CYCLES_not_negative u_stop ();
    end
  endgenerate

  localparam [1:0] IDLE = 2'd0, PROGRAM = 2'd1, COMMIT = 2'd2;

  // What outlives power.
  reg [WIDTH-1:0] slot0_q, slot1_q;
  reg sel_q;
  initial begin
    slot0_q = FACTORY;
    slot1_q = FACTORY;
    sel_q   = 1'b0;
  end

  // What does not.
  reg [1:0] state_q, state_d;
  reg [WIDTH-1:0] data_q;
  reg [COUNT_W-1:0] left_q, left_d;
  reg  done_q;

  wire taken = wr_valid_i && wr_ready_o;
  wire programs = state_q == PROGRAM;
  wire programmed = programs && left_q == {COUNT_W{1'b0}};
  wire commits = state_q == COMMIT;

  assign wr_ready_o = state_q == IDLE && !crash_i && !rst_i;
  assign wr_done_o  = done_q;
  assign rd_data_o  = sel_q ? slot1_q : slot0_q;

  always @* begin
    state_d = state_q;
    left_d  = left_q;
    case (state_q)
      // Nothing under way.
      IDLE: begin
        left_d = WRITE_CYCLES[COUNT_W-1:0];
        if (taken) state_d = PROGRAM;
      end
      // The slot that is not selected is being written; nobody reads it.
      PROGRAM: begin
        left_d = left_q - 1'b1;
        if (programmed) state_d = COMMIT;
      end
      // The selector turns over.
      COMMIT:  state_d = IDLE;
      default: state_d = IDLE;
    endcase
  end

  wire [WIDTH-1:0] slot_d = crash_i ? tear_i : data_q;
  wire writes = programmed || (programs && crash_i);

  always @(posedge clk_i) begin
    if (writes && sel_q) slot0_q <= slot_d;
    if (writes && !sel_q) slot1_q <= slot_d;
    if (commits && !(crash_i && tear_sel_i)) sel_q <= !sel_q;
  end

  always @(posedge clk_i) begin
    state_q <= state_d;
    left_q  <= left_d;
    done_q  <= commits;
    if (taken) data_q <= wr_data_i;
    if (rst_i || crash_i) begin
      state_q <= IDLE;
      done_q  <= 1'b0;
    end
  end

endmodule

`resetall
