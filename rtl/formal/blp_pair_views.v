// What must hold of two endpoints and the frames between them: the invariant that makes the proof close.
//
// It looks at registers only, so it can be asked of the registers as they are and as they will be when a write under
// way is done: it must hold of both, in every combination, since a crash may leave either.  A frame is judged against
// the registers of both ends.  `ok_o` has a bit a clause, so that a failed proof says which.

`resetall
`default_nettype none

module blp_pair_views #(
    parameter NVID_W = 2,
    parameter ROUND_W = 2,
    parameter EPOCH_W = 2,
    parameter SLOT_W = 3
) (
    input wire [NVID_W-1:0] a_nvid_i, a_peer_i, b_nvid_i, b_peer_i,
    input wire [ROUND_W-1:0] a_round_i, b_round_i,
    input wire [1:0] a_phase_i, b_phase_i,
    input wire [SLOT_W-1:0] a_slot_i, a_inbox_i, b_slot_i, b_inbox_i,
    input wire [EPOCH_W-1:0] a_epoch_i, b_epoch_i,
    input wire a_heard_i, b_heard_i,
    input wire [1:0] a_own_i, b_own_i,  // tokens that the application holds
    // a frame from A to B, and one from B to A
    input wire ab_valid_i, ba_valid_i,
    input wire [3:0] ab_type_i, ba_type_i,
    input wire [ROUND_W-1:0] ab_round_i, ba_round_i,
    input wire [EPOCH_W-1:0] ab_epoch_i, ba_epoch_i,
    input wire [NVID_W-1:0] ab_src_i, ab_dst_i, ba_src_i, ba_dst_i,
    input wire [SLOT_W-1:0] ab_slot_i, ba_slot_i,
    output wire [28:0] ok_o
);

  localparam [1:0] RETURNED = 2'd1, TAKEN = 2'd2, OFFER = 2'd3;
  localparam [3:0] HELLO = 4'd4;

  function canonical(input [SLOT_W-1:0] slot);
    canonical = slot[SLOT_W-1] || slot == {SLOT_W{1'b0}};
  endfunction

  function [2:0] token(input [SLOT_W-1:0] slot);
    token = {2'b00, slot[SLOT_W-1] && slot[0]};
  endfunction

  // Distances are -1, 0 and 1 in every reachable state, so that 2 (which is -2 too) never has to be told apart.
  wire [ROUND_W-1:0] ahead = a_round_i - b_round_i;
  wire level = ahead == {ROUND_W{1'b0}};
  wire a_leads = ahead == {{ROUND_W - 1{1'b0}}, 1'b1};
  wire b_leads = &ahead;
  wire a_open = a_phase_i != OFFER, b_open = b_phase_i != OFFER;
  wire a_paired = a_peer_i != {NVID_W{1'b0}}, b_paired = b_peer_i != {NVID_W{1'b0}};

  // The registers, each by itself.
  assign ok_o[0] = a_phase_i != 2'd0 && b_phase_i != 2'd0;
  assign ok_o[1] = canonical(a_slot_i) && canonical(b_slot_i) && canonical(a_inbox_i) && canonical(b_inbox_i);
  assign ok_o[2] = (a_phase_i != RETURNED || !a_slot_i[SLOT_W-1]) && (b_phase_i != RETURNED || !b_slot_i[SLOT_W-1]);
  assign ok_o[3] = (!a_paired || a_peer_i == b_nvid_i) && (!b_paired || b_peer_i == a_nvid_i);
  // Who is bound has room for what the round may bring.
  assign ok_o[4] = (a_open || !a_inbox_i[SLOT_W-1]) && (b_open || !b_inbox_i[SLOT_W-1]);

  // Nothing has happened before both are paired.
  wire untouched = a_round_i == {ROUND_W{1'b0}} && b_round_i == {ROUND_W{1'b0}} && a_phase_i == RETURNED &&
      b_phase_i == RETURNED && a_epoch_i == {EPOCH_W{1'b0}} && b_epoch_i == {EPOCH_W{1'b0}} &&
      !a_inbox_i[SLOT_W-1] && !b_inbox_i[SLOT_W-1];
  assign ok_o[5] = (a_paired && b_paired) || untouched;
  assign ok_o[6] = (b_paired || !a_heard_i) && (a_paired || !b_heard_i);
  wire ab_first = ab_type_i == HELLO || (a_paired && ab_type_i == 4'd1 && ab_round_i == {ROUND_W{1'b0}});
  wire ba_first = ba_type_i == HELLO || (b_paired && ba_type_i == 4'd1 && ba_round_i == {ROUND_W{1'b0}});
  assign ok_o[7] = (a_paired && b_paired) || !ab_valid_i || ab_first;
  assign ok_o[8] = (a_paired && b_paired) || !ba_valid_i || ba_first;

  // Who leads has ended a round in which the other is bound, and has not heard that the other followed.
  assign ok_o[9]  = level || a_leads || b_leads;
  assign ok_o[10] = !a_leads || (a_open && !b_open);
  assign ok_o[11] = !b_leads || (b_open && !a_open);
  assign ok_o[12] = (!a_heard_i || (level && a_open)) && (!b_heard_i || (level && b_open));

  // Outcomes: the epoch counts those that committed.
  assign ok_o[13] = !level || a_epoch_i == b_epoch_i;
  assign ok_o[14] = !level || !a_open || !b_open || a_phase_i == b_phase_i;
  assign ok_o[15] = !a_leads || a_epoch_i == b_epoch_i + (a_phase_i == TAKEN);
  assign ok_o[16] = !b_leads || b_epoch_i == a_epoch_i + (b_phase_i == TAKEN);

  // One token: with an application, in an inbox, or on its way.
  wire [2:0] bound = (a_open ? 3'd0 : token(a_slot_i)) + (b_open ? 3'd0 : token(b_slot_i));
  wire [2:0] led_by_a = a_phase_i == TAKEN ? token(a_slot_i) : token(b_slot_i);
  wire [2:0] led_by_b = b_phase_i == TAKEN ? token(b_slot_i) : token(a_slot_i);
  wire [2:0] on_its_way = level ? bound : a_leads ? led_by_a : led_by_b;
  assign ok_o[17] = {1'b0, a_own_i} + {1'b0, b_own_i} + token(a_inbox_i) + token(b_inbox_i) + on_its_way == 3'd1;
  assign ok_o[18] = a_own_i < 2'd2 && b_own_i < 2'd2;

  // The frames.
  wire [4:0] ab_ok, ba_ok;
  blp_frame_view #(
      .NVID_W(NVID_W),
      .ROUND_W(ROUND_W),
      .EPOCH_W(EPOCH_W),
      .SLOT_W(SLOT_W)
  ) u_ab (
      .x_nvid_i (a_nvid_i), .x_round_i(a_round_i),
      .x_phase_i(a_phase_i), .x_slot_i(a_slot_i), .x_epoch_i(a_epoch_i),
      .y_nvid_i (b_nvid_i), .y_round_i(b_round_i), .y_phase_i(b_phase_i), .y_heard_i(b_heard_i),
      .type_i   (ab_type_i), .round_i(ab_round_i), .epoch_i(ab_epoch_i),
      .src_i    (ab_src_i), .dst_i(ab_dst_i), .slot_i(ab_slot_i),
      .ok_o     (ab_ok)
  );
  blp_frame_view #(
      .NVID_W(NVID_W),
      .ROUND_W(ROUND_W),
      .EPOCH_W(EPOCH_W),
      .SLOT_W(SLOT_W)
  ) u_ba (
      .x_nvid_i (b_nvid_i), .x_round_i(b_round_i),
      .x_phase_i(b_phase_i), .x_slot_i(b_slot_i), .x_epoch_i(b_epoch_i),
      .y_nvid_i (a_nvid_i), .y_round_i(a_round_i), .y_phase_i(a_phase_i), .y_heard_i(a_heard_i),
      .type_i   (ba_type_i), .round_i(ba_round_i), .epoch_i(ba_epoch_i),
      .src_i    (ba_src_i), .dst_i(ba_dst_i), .slot_i(ba_slot_i),
      .ok_o     (ba_ok)
  );
  assign ok_o[23:19] = ab_ok | {5{!ab_valid_i}};
  assign ok_o[28:24] = ba_ok | {5{!ba_valid_i}};

endmodule

// What holds of a frame on its way from X to Y.
module blp_frame_view #(
    parameter NVID_W = 2,
    parameter ROUND_W = 2,
    parameter EPOCH_W = 2,
    parameter SLOT_W = 3
) (
    input wire [NVID_W-1:0] x_nvid_i, y_nvid_i, src_i, dst_i,
    input wire [ROUND_W-1:0] x_round_i, y_round_i, round_i,
    input wire [EPOCH_W-1:0] x_epoch_i, epoch_i,
    input wire [1:0] x_phase_i, y_phase_i,
    input wire [SLOT_W-1:0] x_slot_i, slot_i,
    input wire y_heard_i,
    input wire [3:0] type_i,
    output wire [4:0] ok_o
);

  localparam [1:0] TAKEN = 2'd2, OFFER = 2'd3;
  localparam [3:0] HELLO = 4'd4;
  localparam [ROUND_W-1:0] ONE = 1;

  wire hello = type_i == HELLO;
  wire offers = type_i == {2'b00, OFFER};
  wire [ROUND_W-1:0] to_y = round_i - y_round_i;  // the frame's round against the receiver's
  wire [ROUND_W-1:0] aged = x_round_i - round_i;  // the sender's against the frame's
  wire y_open = y_phase_i != OFFER;
  wire canonical = slot_i[SLOT_W-1] || slot_i == {SLOT_W{1'b0}};
  wire as_sent = aged == {ROUND_W{1'b0}} && {2'b00, x_phase_i} == type_i && x_slot_i == slot_i;
  wire crossed = aged == ONE && x_phase_i == TAKEN && x_slot_i == slot_i;

  // It is well formed.
  assign ok_o[0] = type_i >= 4'd1 && type_i <= 4'd4 && canonical && src_i == x_nvid_i &&
      dst_i == (hello ? {NVID_W{1'b0}} : y_nvid_i) && (type_i != 4'd1 || !slot_i[SLOT_W-1]);
  // It is of this round, the one before or the next, and the sender has ended at most its round since.
  assign ok_o[1] = hello || ((to_y == 0 || to_y == ONE || &to_y) && aged <= ONE);
  // What it says is true: of the last round, where the receiver has ended it too; of the sender's register, where the
  // receiver will act on it.
  wire true_offer = to_y != ONE && (to_y != 0 || as_sent || (!y_open && crossed));
  wire true_outcome = (to_y != 0 || !y_open || {2'b00, y_phase_i} == type_i) && (to_y != ONE || as_sent);
  assign ok_o[2] = hello || (offers ? true_offer : true_outcome);
  // The wire keeps the order: one that its sender has outrun was sent before any that the receiver heard.
  assign ok_o[3] = hello || aged != ONE || x_round_i != y_round_i || (y_open && !y_heard_i);
  // It names the epoch that its round had (which the register tells until it is bound in the next one).
  wire committed_since = aged == ONE && x_phase_i == TAKEN;
  assign ok_o[4] = hello || (aged == ONE && x_phase_i == OFFER) ||
      epoch_i == x_epoch_i - {{EPOCH_W - 1{1'b0}}, committed_since};

endmodule

`resetall
