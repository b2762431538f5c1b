// Two endpoints over a wire that loses, repeats and damages frames, with power losses at any cycle: I1 to I7.
//
// Every input that this module does not bind is free: which cycle a crash comes in and what it leaves of a write under
// way, how long a write takes, when a frame is sent, lost, damaged, delivered and delivered again, what the
// applications do.  The frames are records; the wire holds one each way, and a new one replaces it.
//
// Why few bits are enough: the endpoint asks of rounds only whether two are equal or neighbours (blp_delta).  The
// proof shows that no round or frame is ever two apart from the one it is compared with, so no comparison comes out
// otherwise modulo 4 than modulo any larger power of two, or without a modulus: the runs are the same, step for step.
// Epochs are only counted.  Of payloads the endpoint asks nothing but whether there is one: what holds for each of two
// values of one bit holds for every value, since nothing is done with them but to copy.

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_pair #(
    parameter NVID_W = 2,
    parameter ROUND_W = 2,
    parameter EPOCH_W = 2,
    parameter GHOST_W = 4
) (
    input wire clk_i,
    // of A in bit 0, of B in bit 1
    input wire [1:0] crash_i, keep_old_i, write_ends_i,
    input wire [1:0] link_up_i, link_down_i, timer_i,
    input wire [1:0] offer_i, cancel_i, consume_i,
    input wire [1:0] offer_valid_i, offer_token_i, give_valid_i, give_token_i,
    input wire [3:0] answer_i,
    input wire [2*ROUND_W-1:0] consume_round_i,
    input wire [1:0] tx_ready_i, lose_i, deliver_i, good_i, repeat_i
);

  localparam LENGTH_W = 1, PAYLOAD_W = 1, SLOT_W = 1 + LENGTH_W + PAYLOAD_W;
  localparam REGISTER_W = 2 * NVID_W + 2 * ROUND_W + 2 + 2 * SLOT_W + EPOCH_W;

`include "blp_table.vh"

  reg started_q = 1'b0;
  always @(posedge clk_i) started_q <= 1'b1;
  wire rst = !started_q;
`ifdef BLP_SETTLES
  reg [5:0] age_q = 6'd0;
  wire judged = age_q == 6'd0;
`else
  wire judged = started_q;
`endif

  // Each end: index 0 is A.
  wire [REGISTER_W-1:0] value[0:1], after[0:1];
  wire [NVID_W-1:0] nvid[0:1], peer[0:1], after_nvid[0:1], after_peer[0:1];
  wire [ROUND_W-1:0] round[0:1], after_round[0:1];
  wire [1:0] phase[0:1], after_phase[0:1];
  wire [SLOT_W-1:0] slot[0:1], inbox[0:1], after_slot[0:1], after_inbox[0:1];
  wire [EPOCH_W-1:0] epoch[0:1], after_epoch[0:1];
  wire heard[0:1], after_heard[0:1];
  wire [1:0] own[0:1], after_own[0:1];
  wire [GHOST_W-1:0] ghost[0:1];
  wire [1:0] fenced, ready, linked, hears, queues;
  wire [2*ROUND_W-1:0] came;
  // Each way: index 0 is from A to B.
  reg  [1:0] wire_valid_q = 2'b00;
  reg  [3:0] wire_type_q[0:1];
  reg  [ROUND_W-1:0] wire_round_q[0:1];
  reg  [EPOCH_W-1:0] wire_epoch_q[0:1];
  reg  [NVID_W-1:0] wire_src_q[0:1], wire_dst_q[0:1];
  reg  [SLOT_W-1:0] wire_slot_q[0:1];
  reg  [1:0] wire_cancel_q;
  reg  [GHOST_W-1:0] wire_ghost_q[0:1];
  wire [1:0] rx_ready;

  function token(input [SLOT_W-1:0] given);
    token = given[SLOT_W-1] && given[0];
  endfunction

  genvar x;
  generate
    for (x = 0; x < 2; x = x + 1) begin : g_end
      // The register: any latency, and a crash leaves the old value or the new one.
      localparam [NVID_W-1:0] NVID = x + 1;
      reg [REGISTER_W-1:0] value_q = {NVID, {NVID_W{1'b0}}, {ROUND_W{1'b0}}, PHASE_RETURNED, {SLOT_W{1'b0}},
                                      {EPOCH_W{1'b0}}, {SLOT_W{1'b0}}, {ROUND_W{1'b0}}};
      reg [REGISTER_W-1:0] next_q;
      reg busy_q = 1'b0, done_q = 1'b0;
      wire nv_write;
      wire [REGISTER_W-1:0] nv_data;
      wire commits = busy_q && (crash_i[x] ? !keep_old_i[x] : write_ends_i[x]);
      always @(posedge clk_i) begin
        if (nv_write) next_q <= nv_data;
        busy_q <= !rst && !crash_i[x] && (nv_write || (busy_q && !commits));
        done_q <= commits && !crash_i[x] && !rst;
        if (commits) value_q <= next_q;
      end

      // What the application has, and how a write changes it: one fate with the register.
      reg [1:0] own_q = x == 0 ? 2'd1 : 2'd0;
      wire [ROUND_W-1:0] inbox_round, after_inbox_round;
      wire binds = phase[x] != PHASE_OFFER && after_phase[x] == PHASE_OFFER;
      wire gives = phase[x] != PHASE_OFFER && round[x] != after_round[x] && after_phase[x] == PHASE_TAKEN;
      wire regains = phase[x] == PHASE_OFFER && after_phase[x] == PHASE_RETURNED;
      wire consumes = inbox[x][SLOT_W-1] && !after_inbox[x][SLOT_W-1];
      wire [1:0] minus = {1'b0, (binds || gives) && token(after_slot[x])};
      wire [1:0] plus = {1'b0, (regains && token(slot[x])) || (consumes && token(inbox[x]))};
      wire [1:0] owned = own_q + plus - minus;
`ifdef BLP_MUTANT_DELIVERY
      wire told;
      wire [SLOT_W-1:0] told_slot;
      always @(posedge clk_i) own_q <= (commits ? owned : own_q) + {1'b0, told && token(told_slot)};
`else
      always @(posedge clk_i) if (commits) own_q <= owned;
`endif
      reg [GHOST_W-1:0] ghost_q = {GHOST_W{1'b0}};
      always @(posedge clk_i) if (commits && round[x] != after_round[x]) ghost_q <= ghost_q + 1'b1;

      wire [SLOT_W-1:0] offered = {offer_valid_i[x], {LENGTH_W{1'b0}}, offer_valid_i[x] && offer_token_i[x]};
      wire [SLOT_W-1:0] given = {give_valid_i[x], {LENGTH_W{1'b0}}, give_valid_i[x] && give_token_i[x]};
      wire [2:0] state;
      wire [4:0] bits;
      wire [ACTS-1:0] acts;
      wire [SLOT_W-1:0] queued;
      wire tx_valid;
      wire [3:0] tx_type;
      wire tx_cancel, tx_credit, tx_heard;
      wire [ROUND_W-1:0] tx_round;
      wire [EPOCH_W-1:0] tx_epoch;
      wire [NVID_W-1:0] tx_src, tx_dst;
      wire [SLOT_W-1:0] tx_slot;
      wire fires, bad_epoch;
      wire [6:0] row;
      wire rx_valid = wire_valid_q[1-x] && deliver_i[1-x] && good_i[1-x];

      blp_endpoint #(
          .NVID_W(NVID_W),
          .ROUND_W(ROUND_W),
          .WINDOW_W(ROUND_W),
          .EPOCH_W(EPOCH_W),
          .LENGTH_W(LENGTH_W),
          .PAYLOAD_W(PAYLOAD_W)
      ) u_endpoint (
          .clk_i(clk_i),
          .rst_i(rst),
          .crash_i(crash_i[x]),
          .link_up_valid_i(link_up_i[x]),
          .link_up_ready_o(),
          .link_down_valid_i(link_down_i[x]),
          .link_down_ready_o(),
          .timer_valid_i(timer_i[x]),
          .timer_ready_o(),
          .rx_valid_i(rx_valid),
          .rx_ready_o(rx_ready[x]),
          .rx_slice0_i({4'd1, wire_type_q[1-x], 1'b0, wire_cancel_q[1-x], {54 - EPOCH_W{1'b0}}, wire_epoch_q[1-x]}),
          .rx_round_i(wire_round_q[1-x]),
          .rx_src_i(wire_src_q[1-x]),
          .rx_dst_i(wire_dst_q[1-x]),
          .rx_slot_i(wire_slot_q[1-x]),
          .tx_valid_o(tx_valid),
          .tx_ready_i(tx_ready_i[x]),
          .tx_type_o(tx_type),
          .tx_cancel_req_o(tx_cancel),
          .tx_credit_o(tx_credit),
          .tx_heard_o(tx_heard),
          .tx_round_o(tx_round),
          .tx_epoch_o(tx_epoch),
          .tx_echo_o(),
          .tx_src_o(tx_src),
          .tx_dst_o(tx_dst),
          .tx_slot_o(tx_slot),
          .app_offer_valid_i(offer_i[x]),
          .app_offer_ready_o(),
          .app_offer_slot_i(offered),
          .app_cancel_valid_i(cancel_i[x]),
          .app_cancel_ready_o(),
          .app_consume_valid_i(consume_i[x]),
          .app_consume_ready_o(),
          .app_consume_round_i(consume_round_i[ROUND_W*x+:ROUND_W]),
          .app_answer_i(answer_i[2*x+:2]),
          .app_give_slot_i(given),
          .tell_refused_o(),
`ifdef BLP_MUTANT_DELIVERY
          .tell_committed_o(told),
          .tell_slot_o(told_slot),
`else
          .tell_committed_o(),
          .tell_slot_o(),
`endif
          .tell_reversed_o(),
          .tell_alarm_o(),
          .inbox_o(),
          .inbox_round_o(),
          .format_valid_i(1'b0),
          .format_ready_o(),
          .format_ruled_i(1'b0),
          .format_nvid_i({NVID_W{1'b0}}),
          .nv_write_o(nv_write),
          .nv_ready_i(!busy_q),
          .nv_data_o(nv_data),
          .nv_done_i(done_q),
          .nv_data_i(value_q),
          .state_o(state),
          .volatile_o(bits),
          .stat_valid_o(fires),
          .stat_row_o(row),
          .stat_drop_o(),
          .stat_bad_epoch_o(bad_epoch),
          .f_acts_o(acts),
          .f_queued_o(queued)
      );

      wire writing = state == STATE_WRITING;
      assign value[x] = value_q;
      assign after[x] = busy_q ? next_q : value_q;
      assign {nvid[x], peer[x], round[x], phase[x], slot[x], epoch[x], inbox[x], inbox_round} = value[x];
      assign {after_nvid[x], after_peer[x], after_round[x], after_phase[x], after_slot[x], after_epoch[x],
              after_inbox[x], after_inbox_round} = after[x];
      // Heard now; and once the write is done.  While it is under way a crash is all that can bring the old value back.
      assign heard[x] = bits[3] && !writing;
      assign after_heard[x] = writing ? acts[ACT_HEAR] || (bits[3] && !acts[ACT_UNHEAR]) : bits[3];
      assign own[x] = own_q;
      assign after_own[x] = busy_q ? owned : own_q;
      assign ghost[x] = ghost_q;
      assign fenced[x] = bits[1];
      assign ready[x] = state == STATE_READY;
      assign linked[x] = bits[4];
      assign hears[x] = bits[3];
      assign queues[x] = bits[0];
      assign came[ROUND_W*x+:ROUND_W] = inbox_round;

      // The wire from here.
      wire sends = tx_valid && tx_ready_i[x] && !crash_i[x] && !rst;
      always @(posedge clk_i) begin
        if (rx_ready[1-x] && !repeat_i[x]) wire_valid_q[x] <= 1'b0;
        if (sends) begin
          wire_valid_q[x]  <= !lose_i[x];
          wire_type_q[x]   <= tx_type;
          wire_round_q[x]  <= tx_round;
          wire_epoch_q[x]  <= tx_epoch;
          wire_src_q[x]    <= tx_src;
          wire_dst_q[x]    <= tx_dst;
          wire_slot_q[x]   <= tx_slot;
          wire_cancel_q[x] <= tx_cancel;
          wire_ghost_q[x]  <= ghost_q;
        end
      end

      // The application offers and gives what it has, once.
      wire reserved = bits[0] && token(queued);
      always @* begin
        if (offer_i[x] && token(offered)) assume (own_q != 2'd0 && !reserved);
        if (token(given)) assume (own_q != 2'd0 && !reserved);
      end

`ifndef BLP_ONLY
      // Strengthening: the endpoint and its register agree on whether a write is under way, and the queued token is
      // still with the application.
      always @* begin
        if (judged) begin
          assert (writing == (busy_q || done_q));
          assert (!bad_epoch);
          assert (!busy_q || !done_q);
          assert (!writing || (!acts[ACT_FENCE] && !acts[ACT_FORGET] && !acts[ACT_ENQUEUE]));
          assert (nvid[x] == NVID && after_nvid[x] == NVID);
          assert (after_round[x] == round[x] || after_round[x] == round[x] + 1'b1);
          assert (!reserved || (writing && acts[ACT_DEQUEUE]) || (own_q != 2'd0 && after_own[x] != 2'd0));
          assert (!bits[0] || (writing && acts[ACT_DEQUEUE]) || phase[x] != PHASE_OFFER);
          assert (!bits[0] || (writing && acts[ACT_DEQUEUE]) || after_phase[x] != PHASE_OFFER);
          assert (!bits[0] || queued[SLOT_W-1] || queued == {SLOT_W{1'b0}});
        end
      end

      // I6: a frame is acted on only in the round that it was sent in, or closes the one before it; counted far wider
      // than the round is.
      wire [GHOST_W-1:0] apart = wire_ghost_q[1-x] - ghost_q;
      wire by_frame = fires && rx_ready[x] && nv_write;
      always @* begin
        if (judged && by_frame && wire_type_q[1-x] == 4'd3) assert (apart == 0);
        if (judged && by_frame && wire_type_q[1-x] <= 4'd2)
          assert (apart == (peer[x] == {NVID_W{1'b0}} ? {GHOST_W{1'b0}} : {{GHOST_W - 1{1'b0}}, 1'b1}));
        if (judged) assert (ghost_q[ROUND_W-1:0] == round[x]);
        if (judged && wire_valid_q[x]) begin
          assert (wire_type_q[x] == 4'd4 || wire_ghost_q[x][ROUND_W-1:0] == wire_round_q[x]);
          assert (wire_type_q[x] == 4'd4 || wire_ghost_q[x] == ghost_q || wire_ghost_q[x] == ghost_q - 1'b1);
        end
      end
`endif
    end
  endgenerate

  // The invariant, of every combination of what is written and what is being written.
  wire [28:0] ok[0:3];
  genvar v;
  generate
    for (v = 0; v < 4; v = v + 1) begin : g_view
      blp_pair_views #(
          .NVID_W(NVID_W),
          .ROUND_W(ROUND_W),
          .EPOCH_W(EPOCH_W),
          .SLOT_W(SLOT_W)
      ) u_views (
          .a_nvid_i(nvid[0]),
          .a_peer_i(v % 2 ? after_peer[0] : peer[0]),
          .a_round_i(v % 2 ? after_round[0] : round[0]),
          .a_phase_i(v % 2 ? after_phase[0] : phase[0]),
          .a_slot_i(v % 2 ? after_slot[0] : slot[0]),
          .a_inbox_i(v % 2 ? after_inbox[0] : inbox[0]),
          .a_epoch_i(v % 2 ? after_epoch[0] : epoch[0]),
          .a_heard_i(v % 2 ? after_heard[0] : heard[0]),
          .a_own_i(v % 2 ? after_own[0] : own[0]),
          .b_nvid_i(nvid[1]),
          .b_peer_i(v / 2 ? after_peer[1] : peer[1]),
          .b_round_i(v / 2 ? after_round[1] : round[1]),
          .b_phase_i(v / 2 ? after_phase[1] : phase[1]),
          .b_slot_i(v / 2 ? after_slot[1] : slot[1]),
          .b_inbox_i(v / 2 ? after_inbox[1] : inbox[1]),
          .b_epoch_i(v / 2 ? after_epoch[1] : epoch[1]),
          .b_heard_i(v / 2 ? after_heard[1] : heard[1]),
          .b_own_i(v / 2 ? after_own[1] : own[1]),
          .ab_valid_i(wire_valid_q[0]),
          .ab_type_i(wire_type_q[0]),
          .ab_round_i(wire_round_q[0]),
          .ab_epoch_i(wire_epoch_q[0]),
          .ab_src_i(wire_src_q[0]),
          .ab_dst_i(wire_dst_q[0]),
          .ab_slot_i(wire_slot_q[0]),
          .ba_valid_i(wire_valid_q[1]),
          .ba_type_i(wire_type_q[1]),
          .ba_round_i(wire_round_q[1]),
          .ba_epoch_i(wire_epoch_q[1]),
          .ba_src_i(wire_src_q[1]),
          .ba_dst_i(wire_dst_q[1]),
          .ba_slot_i(wire_slot_q[1]),
          .ok_o(ok[v])
      );
`ifndef BLP_ONLY
      genvar c;
      for (c = 0; c < 29; c = c + 1) begin : g_clause
        always @* if (judged) assert (ok[v][c]);
      end
`endif
    end
  endgenerate

  // The properties themselves.
  wire [ROUND_W-1:0] ahead = round[0] - round[1];
  wire level = ahead == {ROUND_W{1'b0}};
  wire a_leads = ahead == {{ROUND_W - 1{1'b0}}, 1'b1};
  wire b_leads = &ahead;
  wire [EPOCH_W-1:0] epochs_apart = epoch[0] - epoch[1];
  wire a_open = phase[0] != PHASE_OFFER, b_open = phase[1] != PHASE_OFFER;
  wire [2:0] usable = {1'b0, own[0]} + {1'b0, own[1]} + {2'b00, token(inbox[0])} + {2'b00, token(inbox[1])};
  wire [GHOST_W-1:0] ghosts_apart = ghost[0] - ghost[1];

  always @* begin
    if (judged) begin
`ifndef BLP_ONLY
      // I1: rounds, and so epochs, are at most one apart.
      assert (level || a_leads || b_leads);
      assert (ghosts_apart == 0 || ghosts_apart == 1 || &ghosts_apart);
      assert (epochs_apart == 0 || epochs_apart == 1 || &epochs_apart);
      // I2: of the rounds that both have ended, each ended alike: their number that committed is equal.
      assert (!level || epoch[0] == epoch[1]);
      assert (!level || !a_open || !b_open || phase[0] == phase[1]);
      // I3: one has left a round only if the other left it too, or is bound in it.
      assert (!a_leads || !b_open);
      assert (!b_leads || !a_open);
      // I7: nobody is ever fenced.
      assert (fenced == 2'b00);
`endif
`ifndef BLP_ONLY_KNOWLEDGE
      // I4: never two usable tokens; one, when both are open in the same round.
      assert (usable <= 3'd1);
      assert (!(level && a_open && b_open) || usable == 3'd1);
`endif
`ifndef BLP_ONLY_TOKENS
      // I5: who is ready or bound knows that the other has ended every round before.
      assert (!(ready[0] || !a_open) || !a_leads);
      assert (!(ready[1] || !b_open) || !b_leads);
`endif
    end
  end

`ifdef BLP_SETTLES
  // L1: once faults end, three beacons of each side settle every round: both are open in the same one and know it.
  // The run starts in any state that the invariant allows (it is assumed of the first cycle, and nothing else is
  // initialised).  No faults: no crash, no frame lost, both links up, writes that end, applications that decide,
  // consume what came and have nothing more to offer.
`ifndef BLP_SETTLES_BEACONS
`define BLP_SETTLES_BEACONS 3
`endif
  localparam PERIOD = 8, SETTLED_BY = PERIOD * `BLP_SETTLES_BEACONS;
  reg [2:0] beat_q = 3'd0;
  wire calm = crash_i == 2'b00 && link_down_i == 2'b00 && link_up_i == ~linked && tx_ready_i == 2'b11 &&
      lose_i == 2'b00 && deliver_i == 2'b11 && good_i == 2'b11 && repeat_i == 2'b00 && write_ends_i == 2'b11 &&
      offer_i == 2'b00 && cancel_i == 2'b00 && consume_i == 2'b11 && consume_round_i == came && !answer_i[1] &&
      !answer_i[3] && timer_i == {beat_q == PERIOD / 2, beat_q == 0};
  always @(posedge clk_i) begin
    beat_q <= beat_q + 3'd1;
    age_q  <= age_q == SETTLED_BY ? age_q : age_q + 6'd1;
  end
  wire settles = age_q < SETTLED_BY || (level && a_open && b_open && hears == 2'b11);
  always @* assume (calm && started_q && queues == 2'b00);
  always @* settled_in_time: assert (settles);
`endif

`ifdef BLP_COVER
  // A crash of A in the middle of a write, remembered.
  reg [1:0] crashed_q = 2'b00;
  always @(posedge clk_i) begin
    if (crash_i[0] && g_end[0].busy_q && phase[0] == PHASE_OFFER) crashed_q[0] <= 1'b1;
    if (crash_i[1] && g_end[1].busy_q && phase[0] == PHASE_OFFER) crashed_q[1] <= 1'b1;
  end
  wire settled = ready[0] && ready[1] && level && round[0] == 1 && epoch[0] == 1;
  // A whole exchange: the token has changed hands and both know it.
  always @* cover (settled && own[1] == 2'd1 && crashed_q == 2'b00);
  // Both crashed while they wrote, and the round ended all the same.
  always @* cover (settled && own[1] == 2'd1 && crashed_q == 2'b11);
  // Both offered.
  always @* cover (settled && after_slot[0][SLOT_W-1] && after_slot[1][SLOT_W-1]);
`endif

endmodule

`resetall
