// Received frames that wait for their reader, in the order in which they came.
//
// A frame that finds the queue full takes the place of the newest one in it, which is counted as missed.  For a frame
// is a snapshot of the peer's register and says all that those before it said, so the newest must not be lost.  A queue
// that turned newcomers away would keep what they supersede, and the reader would learn the news when the peer's timer
// says it again; one that gave up its oldest would hold no more news, and change the frame that is on offer.  With one
// place the newest wins.
//
// Latency: 1 cycle from `push_valid_i` to `pop_valid_o` of an empty queue, whatever its depth.  It takes a frame in
// every cycle, and gives one in every cycle.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_rx_queue #(
    parameter WIDTH  = 32,
    parameter DEPTH  = 1,   // frames
    parameter STAT_W = 32
) (
    input wire clk_i,
    input wire rst_i,

    input wire             push_valid_i,  // nobody can make a line wait
    input wire [WIDTH-1:0] push_data_i,

    output wire             pop_valid_o,
    input  wire             pop_ready_i,
    output wire [WIDTH-1:0] pop_data_o,

    output wire [STAT_W-1:0] stat_missed_o
);

  generate
    if (WIDTH < 1 || DEPTH < 1) begin : g_check
      WIDTH_and_DEPTH_must_be_positive u_stop ();
    end
  endgenerate

  localparam PLACE_W = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam HELD_W = $clog2(DEPTH + 1);
  localparam [PLACE_W-1:0] LAST = DEPTH[PLACE_W-1:0] - 1'b1;
  localparam [HELD_W-1:0] FULL = DEPTH[HELD_W-1:0];

  // A ring: the oldest frame's place, the newest one's, and how many there are.
  reg [WIDTH-1:0] places[0:DEPTH-1];
  reg [PLACE_W-1:0] oldest_q, newest_q;
  reg [HELD_W-1:0] held_q;
  reg [STAT_W-1:0] missed_q;

  wire pops = pop_valid_o && pop_ready_i;
  wire replaces = push_valid_i && held_q == FULL && !pops;
  wire adds = push_valid_i && !replaces;
  wire [PLACE_W-1:0] behind = newest_q == LAST ? {PLACE_W{1'b0}} : newest_q + 1'b1;
  wire [PLACE_W-1:0] place = replaces ? newest_q : behind;

  assign pop_valid_o   = held_q != {HELD_W{1'b0}};
  assign pop_data_o    = places[oldest_q];
  assign stat_missed_o = missed_q;

  always @(posedge clk_i) begin
    if (push_valid_i) begin
      places[place] <= push_data_i;
      newest_q      <= place;
    end
    if (pops) oldest_q <= oldest_q == LAST ? {PLACE_W{1'b0}} : oldest_q + 1'b1;
    if (adds && !pops) held_q <= held_q + 1'b1;
    if (pops && !adds) held_q <= held_q - 1'b1;
    if (replaces) missed_q <= missed_q + 1'b1;
    if (rst_i) begin
      oldest_q <= {PLACE_W{1'b0}};
      newest_q <= LAST;
      held_q   <= {HELD_W{1'b0}};
      missed_q <= {STAT_W{1'b0}};
    end
  end

`ifdef FORMAL
  `include "blp_rx_queue_formal.vh"
`endif

endmodule

`resetall
