// Proof, inside blp_rx_queue: of the frames that came since the reset each was read, was counted as missed, or waits;
// and any one of them, which the solver chooses, comes out whole after exactly those that waited before it, or else is
// missed, which happens to the newest of a full queue alone.  So order is kept, and nothing is lost or made up.

reg f_began;
initial f_began = 1'b0;
always @(posedge clk_i) begin
  f_began <= 1'b1;
  if (!f_began) assume (rst_i);
end

// Counted as the counter of missed frames is: modulo 2**STAT_W.
reg [STAT_W-1:0] f_came, f_read;
wire [STAT_W-1:0] f_told = f_read + missed_q + {{STAT_W - HELD_W{1'b0}}, held_q};
always @(posedge clk_i) begin
  f_came <= rst_i ? {STAT_W{1'b0}} : f_came + {{STAT_W - 1{1'b0}}, push_valid_i};
  f_read <= rst_i ? {STAT_W{1'b0}} : f_read + {{STAT_W - 1{1'b0}}, pops};
end

// The frame that is watched: chosen as it comes, at most one at a time; how many wait before it.
(* anyseq *) wire f_choose;
reg f_waits;
reg [WIDTH-1:0] f_data;
reg [HELD_W-1:0] f_before;
initial f_waits = 1'b0;
wire f_chosen = push_valid_i && f_choose && !f_waits;
wire f_is_read = f_waits && pops && f_before == {HELD_W{1'b0}};
wire f_is_missed = f_waits && replaces && f_before == FULL - 1'b1;
wire [HELD_W-1:0] f_others = held_q - {{HELD_W - 1{1'b0}}, pops};  // that a newcomer finds
always @(posedge clk_i) begin
  if (f_chosen) begin
    f_data   <= push_data_i;
    f_before <= f_others == FULL ? FULL - 1'b1 : f_others;
  end else if (pops) f_before <= f_before - 1'b1;
  f_waits <= !rst_i && (f_chosen || (f_waits && !f_is_read && !f_is_missed));
end

// The place of the frame behind so many others.
function [PLACE_W-1:0] f_place;
  input integer before;
  integer place;
  begin
    place   = ({1'b0, oldest_q} + before) % DEPTH;
    f_place = place[PLACE_W-1:0];
  end
endfunction

always @(posedge clk_i) begin
  if (f_began) begin
    // What is promised.
    assert (f_came == f_told);
    assert (pop_valid_o == (held_q != {HELD_W{1'b0}}));
    assert (held_q <= FULL);
    if (f_waits) assert (pop_valid_o);
    if (f_is_read) assert (pop_data_o == f_data);
    if (push_valid_i && held_q == FULL && !pops) assert (replaces);
    if (replaces) assert (held_q == FULL && !pops);

    // What makes the induction close.
    assert (oldest_q <= LAST && newest_q <= LAST);
    assert (newest_q == f_place(held_q + DEPTH - 1));
    if (f_waits) assert (f_before < held_q && places[f_place(f_before)] == f_data);

    cover (f_is_read && held_q == FULL);
    cover (f_is_read && missed_q == 2);
    cover (f_is_missed);
    cover (f_waits && held_q == FULL && pops && push_valid_i);
  end
end

// With one place it is the register that it was before there was a queue.
generate
  if (DEPTH == 1) begin : g_f_register
    reg valid_q;
    reg [WIDTH-1:0] data_q;
    reg [STAT_W-1:0] count_q;
    always @(posedge clk_i) begin
      valid_q <= push_valid_i || (valid_q && !pop_ready_i);
      if (push_valid_i) data_q <= push_data_i;
      if (push_valid_i && valid_q && !pop_ready_i) count_q <= count_q + 1'b1;
      if (rst_i) begin
        valid_q <= 1'b0;
        count_q <= {STAT_W{1'b0}};
      end
      if (f_began) begin
        assert (pop_valid_o == valid_q && stat_missed_o == count_q);
        if (valid_q) assert (pop_data_o == data_q);
      end
    end
  end
endgenerate
