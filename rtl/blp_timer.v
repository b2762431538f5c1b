// When the endpoint sends its register again: a beacon, or a retry while an offer is bound.
//
// Time is counted in ticks that come from outside, so whoever simulates can let quiet spans pass in a few cycles: a run
// whose idle ticks come closer together is the same run.  The period starts with each frame sent and each timer taken.
//
// Latency: 1 cycle from the last tick to `timer_valid_o`.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_timer #(
    parameter COUNT_W = 32
) (
    input wire clk_i,
    input wire rst_i,

    input wire               tick_i,
    input wire               sent_i,
    input wire               bound_i,
    input wire [COUNT_W-1:0] cfg_beacon_i,  // ticks; at least 1
    input wire [COUNT_W-1:0] cfg_retry_i,

    output wire timer_valid_o,
    input  wire timer_ready_i
);

  reg [COUNT_W-1:0] count_q;
  reg valid_q;
  wire [COUNT_W-1:0] period = bound_i ? cfg_retry_i : cfg_beacon_i;
  wire restarts = sent_i || (valid_q && timer_ready_i);

  assign timer_valid_o = valid_q;

  always @(posedge clk_i) begin
    if (restarts) begin
      count_q <= {COUNT_W{1'b0}};
      valid_q <= 1'b0;
    end else if (tick_i && !valid_q) begin
      count_q <= count_q + 1'b1;
      valid_q <= count_q + 1'b1 >= period;
    end
    if (rst_i) begin
      count_q <= {COUNT_W{1'b0}};
      valid_q <= 1'b0;
    end
  end

endmodule

`resetall
