// Ends of links in one time, their clock, and who drives it: cocotb, which is asked for every cycle that somebody must
// know of, and for no other.
//
// Whoever drives it deposits what it wants, turns `go_q` over and waits until `done_q` does.  Then the cycles up to
// `until_q` have passed, or so many as had to until an end told something (`tells`) or may be standing still
// (`drowsy`).  Of the ends in `single_q` a single cycle passes instead, in no time, and the others are held.
//
// Cycle n lasts from n periods to n + 1; the clock falls in its middle.  An end that is not `awake_q` has no clock.

`resetall
`timescale 1ps / 1ps
`default_nettype none

module cosim #(
    parameter ENDS = 2,
    parameter PERIOD = 6400,  // ps
    parameter [32*ENDS-1:0] WRITE_CYCLES = {ENDS{32'd3}},
    parameter [32*ENDS-1:0] RX_DEPTH = {ENDS{32'd0}},
    parameter [127:0] WRITES = 128'd0,
    parameter [127:0] ASKS = 128'd0,
    parameter [127:0] OFFERS = 128'd0
);

  localparam HALF = PERIOD / 2;

  reg go_q, done_q, waves_q;
  reg [8*4096-1:0] file;  // for the waves
  reg [63:0] cycle_q, until_q;
  reg [ENDS-1:0] awake_q, single_q, clock_q, turn_q, drowsy_q;
  reg look_q, settle_q, stops;

  wire [ENDS-1:0] asks, tells, drowsy, began;
  wire [63+3*ENDS:0] report = {began, drowsy_q, tells & turn_q, cycle_q};

  genvar i;
  generate
    for (i = 0; i < ENDS; i = i + 1) begin : g_ends
      cosim_end #(
          .WRITE_CYCLES(WRITE_CYCLES[32*i+:32]),
          .RX_DEPTH    (RX_DEPTH[32*i+:32]),
          .WRITES      (WRITES),
          .ASKS        (ASKS),
          .OFFERS      (OFFERS)
      ) one (
          .clk_i   (clock_q[i]),
          .look_i  (look_q),
          .looks_i (turn_q[i]),
          .cycle_i (cycle_q),
          .waves_i (waves_q),
          .asks_o  (asks[i]),
          .tells_o (tells[i]),
          .drowsy_o(drowsy[i]),
          .began_o (began[i])
      );
    end
  endgenerate

  // All that an edge or a deposit leads to, before time goes on.
  task automatic settle;
    begin
      settle_q <= !settle_q;
      @(settle_q);
      #0;
    end
  endtask

  // Look at the ends whose turn it is.
  task automatic look;
    begin
      look_q = !look_q;
      #0;
    end
  endtask

  initial begin
    if ($value$plusargs("waves=%s", file)) $dumpfile(file);
    {go_q, done_q, waves_q, look_q, settle_q, stops} = 6'd0;
    {cycle_q, until_q} = 128'd0;
    awake_q  = {ENDS{1'b1}};
    single_q = {ENDS{1'b0}};
    clock_q  = {ENDS{1'b0}};
    turn_q   = {ENDS{1'b0}};
    drowsy_q = {ENDS{1'b0}};
  end

  always begin
    wait (go_q != done_q);
    if (single_q != {ENDS{1'b0}}) begin
      settle;
      turn_q = single_q;
      look;
      clock_q = clock_q & ~single_q;
      #0;
      clock_q = clock_q | (single_q & ~asks);
      settle;
      single_q = {ENDS{1'b0}};
    end else begin
      turn_q   = awake_q;
      drowsy_q = {ENDS{1'b0}};
      stops    = 1'b0;
      if (awake_q == {ENDS{1'b0}} && cycle_q < until_q) begin
        #((until_q - cycle_q) * PERIOD);
        cycle_q = until_q;
      end
      while (!stops && cycle_q < until_q) begin
        #HALF;
        clock_q = {ENDS{1'b0}};
        look;
        drowsy_q = drowsy & awake_q;
        stops    = (tells & awake_q) != {ENDS{1'b0}} || drowsy_q != {ENDS{1'b0}};
        #(PERIOD - HALF);
        clock_q = awake_q & ~asks;
        cycle_q = cycle_q + 64'd1;
      end
      settle;
    end
    done_q = !done_q;
  end

endmodule

`resetall
