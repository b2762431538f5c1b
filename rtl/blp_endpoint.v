// One end of a bilateral link: the transition table, executed, an event a cycle.
//
// The state follows from the register (non-volatile, outside: blp_nvreg) and a few volatile bits.  In every cycle at
// most one event is taken, in the order written at `event_d`; who asks holds its request until `ready`.  The table
// says what is written, and what is done: at once where nothing is written, when the write is done where something
// is.  While a write is under way (WRITING) nothing is sent, and frames are dropped and counted.
//
// A frame to send is not stored: `tx_valid_o` asks that a snapshot of the register be taken as it is in the cycle of
// `tx_ready_i`, so a later snapshot may stand for an earlier one, and `tx_valid_o` falls when a write begins or the
// link goes, even if nobody took the snapshot.  `crash_i` loses everything but the register, in any cycle.
//
// Latency: an event taken in cycle t is done in t; the snapshot that it asks for is offered from t + 1 on, or, when
// it writes, from the cycle after `nv_done_i`.  `stat_*`, `tell_*` and `nv_write_o` belong to the cycle of the event
// (`tell_*` to that of `nv_done_i` if there is a write).

`resetall
`timescale 1ns / 1ps
`default_nettype none

module blp_endpoint #(
    parameter NVID_W = 64,
    parameter ROUND_W = 48,
    parameter WINDOW_W = 16,  // the bits of a round that a frame carries
    parameter EPOCH_W = 64,
    parameter LENGTH_W = 8,
    parameter PAYLOAD_W = 192,
    // A slot is {valid, length, payload}; an empty one is all zeros.
    parameter SLOT_W = 1 + LENGTH_W + PAYLOAD_W,
    // {nvid, peer, round, phase, slot, epoch, inbox, inbox_round}
    parameter REGISTER_W = 2 * NVID_W + 2 * ROUND_W + 2 + 2 * SLOT_W + EPOCH_W
) (
    input wire clk_i,
    input wire rst_i,
    input wire crash_i,

    // The link and the timer: requests, held until ready.
    input  wire link_up_valid_i,
    output wire link_up_ready_o,
    input  wire link_down_valid_i,
    output wire link_down_ready_o,
    input  wire timer_valid_i,
    output wire timer_ready_o,

    // A received frame that passed the parser's checks.
    input  wire               rx_valid_i,
    output wire               rx_ready_o,
    input  wire [       63:0] rx_slice0_i,  // type, cancel_req and all else that the next frame echoes
    input  wire [WINDOW_W-1:0] rx_round_i,
    input  wire [ NVID_W-1:0] rx_src_i,
    input  wire [ NVID_W-1:0] rx_dst_i,
    input  wire [ SLOT_W-1:0] rx_slot_i,

    // A frame to send: a snapshot.
    output wire               tx_valid_o,
    input  wire               tx_ready_i,
    output wire [        3:0] tx_type_o,
    output wire               tx_cancel_req_o,
    output wire               tx_credit_o,
    output wire               tx_heard_o,
    output wire [WINDOW_W-1:0] tx_round_o,
    output wire [EPOCH_W-1:0] tx_epoch_o,
    output wire [       63:0] tx_echo_o,
    output wire [ NVID_W-1:0] tx_src_o,
    output wire [ NVID_W-1:0] tx_dst_o,
    output wire [ SLOT_W-1:0] tx_slot_o,

    // The application: requests, held until ready; how it would answer an offer now; what it is told.
    input  wire               app_offer_valid_i,
    output wire               app_offer_ready_o,
    input  wire [ SLOT_W-1:0] app_offer_slot_i,
    input  wire               app_cancel_valid_i,
    output wire               app_cancel_ready_o,
    input  wire               app_consume_valid_i,
    output wire               app_consume_ready_o,
    input  wire [ROUND_W-1:0] app_consume_round_i,
    input  wire [        1:0] app_answer_i,         // accept, give, reject, busy
    input  wire [ SLOT_W-1:0] app_give_slot_i,
    output wire               tell_refused_o,
    output wire               tell_committed_o,
    output wire               tell_reversed_o,
    output wire               tell_alarm_o,
    output wire [ SLOT_W-1:0] tell_slot_o,          // with reversed: the payload that comes back; committed: what came
    output wire [ SLOT_W-1:0] inbox_o,              // what came and was not consumed yet
    output wire [ROUND_W-1:0] inbox_round_o,

    // The operator: a new identity, never used before.
    input  wire              format_valid_i,
    output wire              format_ready_o,
    input  wire              format_ruled_i,
    input  wire [NVID_W-1:0] format_nvid_i,

    // The non-volatile register.
    output wire                  nv_write_o,
    input  wire                  nv_ready_i,
    output wire [REGISTER_W-1:0] nv_data_o,
    input  wire                  nv_done_i,
    input  wire [REGISTER_W-1:0] nv_data_i,

    // The state, the volatile bits {link, heard, cancel, fenced, queue}, and the row that is executed.
    output wire [2:0] state_o,
    output wire [4:0] volatile_o,
    output wire       stat_valid_o,
    output wire [6:0] stat_row_o,
    output wire [3:0] stat_drop_o,
    output wire       stat_bad_epoch_o  // a frame dropped before the table sees it
`ifdef FORMAL
    ,
    output wire [      14:0] f_acts_o,   // what is due when the write is done
    output wire [SLOT_W-1:0] f_queued_o
`endif
);

`include "blp_table.vh"

  localparam [3:0] TYPE_RETURNED = 4'd1, TYPE_TAKEN = 4'd2, TYPE_OFFER = 4'd3, TYPE_HELLO = 4'd4, TYPE_FENCE = 4'd5;

  generate
    if (WINDOW_W < 1 || WINDOW_W > ROUND_W) begin : g_check
      WINDOW_W_must_be_1_to_ROUND_W u_stop ();
    end
    if (SLOT_W != 1 + LENGTH_W + PAYLOAD_W) begin : g_check_slot
      SLOT_W_and_REGISTER_W_follow_from_the_others u_stop ();
    end
    if (ROW_W != 7 || DROP_W != 4 || ACTS != 15) begin : g_check_table
      the_table_has_outgrown_the_ports u_stop ();
    end
  endgenerate

  // What does not outlive power.
  reg booted_q, writing_q;
  reg link_q, heard_q, cancel_q, fenced_q, emit_q;
  reg queue_q;
  reg [SLOT_W-1:0] queued_q;
  reg [63:0] echo_q;
  reg [ACTS-1:0] acts_q;  // due when the write is done
  reg [SLOT_W-1:0] told_q;

  // The register.
  wire [NVID_W-1:0] nvid, peer;
  wire [ROUND_W-1:0] round, inbox_round;
  wire [1:0] phase;
  wire [SLOT_W-1:0] slot, inbox;
  wire [EPOCH_W-1:0] epoch;

`ifdef BLP_MUTANT_VOLATILE
  // Broken on purpose: a part of the register is lost in a crash, until something is written again.
  reg lost_q;
  always @(posedge clk_i) lost_q <= crash_i || (lost_q && !nv_done_i);
  wire [ROUND_W-1:0] kept_round;
  wire [1:0] kept_phase;
  wire [SLOT_W-1:0] kept_slot, kept_inbox;
  wire [EPOCH_W-1:0] kept_epoch;
  assign {nvid, peer, kept_round, kept_phase, kept_slot, kept_epoch, kept_inbox, inbox_round} = nv_data_i;
`ifdef BLP_MUTANT_V1  // all but the identities
  assign round = lost_q ? {ROUND_W{1'b0}} : kept_round;
  assign phase = lost_q ? PHASE_RETURNED : kept_phase;
  assign slot  = lost_q ? {SLOT_W{1'b0}} : kept_slot;
  assign epoch = lost_q ? {EPOCH_W{1'b0}} : kept_epoch;
  assign inbox = lost_q ? {SLOT_W{1'b0}} : kept_inbox;
`elsif BLP_MUTANT_V2  // that this side is bound
  assign round = kept_round;
  assign phase = lost_q && kept_phase == PHASE_OFFER ? PHASE_RETURNED : kept_phase;
  assign slot  = lost_q && kept_phase == PHASE_OFFER ? {SLOT_W{1'b0}} : kept_slot;
  assign epoch = kept_epoch;
  assign inbox = kept_inbox;
`elsif BLP_MUTANT_V3  // how the last round ended, which the epoch says too
  assign round = kept_round;
  assign phase = lost_q && kept_phase == PHASE_TAKEN ? PHASE_RETURNED : kept_phase;
  assign slot  = kept_slot;
  assign epoch = kept_epoch - {{EPOCH_W - 1{1'b0}}, lost_q && kept_phase == PHASE_TAKEN};
  assign inbox = kept_inbox;
`elsif BLP_MUTANT_V4  // what is offered or given
  assign round = kept_round;
  assign phase = kept_phase;
  assign slot  = lost_q ? {SLOT_W{1'b0}} : kept_slot;
  assign epoch = kept_epoch;
  assign inbox = kept_inbox;
`elsif BLP_MUTANT_V5  // which round it is
  assign round = lost_q ? {ROUND_W{1'b0}} : kept_round;
  assign phase = kept_phase;
  assign slot  = kept_slot;
  assign epoch = kept_epoch;
  assign inbox = kept_inbox;
`endif
`else
  assign {nvid, peer, round, phase, slot, epoch, inbox, inbox_round} = nv_data_i;
`endif

`ifdef BLP_MUTANT_V6  // open is ready, heard or not
  wire heard = 1'b1;
`else
  wire heard = heard_q;
`endif

  wire inbox_full = inbox[SLOT_W-1];

  wire bound = phase == PHASE_OFFER;

  // The state: the first that applies.
  reg [2:0] state;
  always @* begin
    if (writing_q) state = STATE_WRITING;
    else if (fenced_q) state = STATE_FENCED;
    else if (!link_q) state = STATE_DOWN;
    else if (peer == {NVID_W{1'b0}}) state = STATE_UNPAIRED;
    else if (bound) state = STATE_OFFERED;
    else if (heard) state = STATE_READY;
    else state = STATE_WAIT;
  end

  // Arbitration.  None in the cycle in which a write is done: its acts are due.
  wire takes = writing_q ? !nv_done_i : nv_ready_i;
  wire requeue = queue_q && state == STATE_READY && !inbox_full;
  reg [3:0] event_d;
  reg valid_d, offers_queued;
  reg [7:0] grant;
  always @* begin
    valid_d       = takes;
    grant         = 8'h00;
    offers_queued = 1'b0;
    event_d       = EVENT_POWER_ON;
    if (!booted_q) begin
      event_d = EVENT_POWER_ON;
    end else if (link_down_valid_i) begin
      event_d  = EVENT_LINK_DOWN;
      grant[0] = takes;
    end else if (link_up_valid_i) begin
      event_d  = EVENT_LINK_UP;
      grant[1] = takes;
    end else if (format_valid_i) begin
      event_d  = EVENT_FORMAT;
      grant[2] = takes;
    end else if (rx_valid_i) begin
      grant[3] = takes;
      case (rx_slice0_i[59:56])
        TYPE_RETURNED: event_d = EVENT_RX_RETURNED;
        TYPE_TAKEN:    event_d = EVENT_RX_TAKEN;
        TYPE_OFFER:    event_d = EVENT_RX_OFFER;
        TYPE_HELLO:    event_d = EVENT_RX_HELLO;
        TYPE_FENCE:    event_d = EVENT_RX_FENCE;
        // The parser passes no other type.
        default:       valid_d = 1'b0;
      endcase
    end else if (timer_valid_i) begin
      event_d  = EVENT_TIMER;
      grant[4] = takes;
    end else if (requeue) begin
      // The queued offer, now that the peer has been heard and there is room for what it may bring.
      event_d       = EVENT_APP_OFFER;
      offers_queued = 1'b1;
    end else if (app_cancel_valid_i) begin
      event_d  = EVENT_APP_CANCEL;
      grant[5] = takes;
    end else if (app_consume_valid_i) begin
      event_d  = EVENT_APP_CONSUME;
      grant[6] = takes;
    end else if (app_offer_valid_i) begin
      event_d  = EVENT_APP_OFFER;
      grant[7] = takes;
    end else begin
      valid_d = 1'b0;
    end
  end
  wire receives = grant[3];

  assign {app_offer_ready_o, app_consume_ready_o, app_cancel_ready_o, timer_ready_o, rx_ready_o, format_ready_o,
          link_up_ready_o, link_down_ready_o} = grant & {8{!rst_i && !crash_i}};

  // Observables.
  wire own = rx_src_i == {NVID_W{1'b0}} || rx_src_i == nvid;
  wire elsewhere = rx_slice0_i[59:56] != TYPE_HELLO && rx_dst_i != nvid;
  wire [1:0] address = own ? ADDRESS_OWN : elsewhere ? ADDRESS_ELSEWHERE
                     : rx_src_i == peer ? ADDRESS_PEER : ADDRESS_STRANGER;
  wire virgin = round == {ROUND_W{1'b0}} && phase == PHASE_RETURNED && !slot[SLOT_W-1] && epoch == {EPOCH_W{1'b0}};
  wire says_outcome = rx_slice0_i[59:56] == TYPE_TAKEN || rx_slice0_i[59:56] == TYPE_RETURNED;
  wire [1:0] says = rx_slice0_i[59:56] == TYPE_TAKEN ? PHASE_TAKEN : PHASE_RETURNED;
  wire [2:0] delta;
  blp_delta #(
      .WINDOW_W(WINDOW_W)
  ) u_delta (
      .theirs_i(rx_round_i),
      .mine_i  (round[WINDOW_W-1:0]),
      .bound_i (bound),
      .delta_o (delta)
  );

  // Where the table would act on a frame's round, that round has one epoch.  A frame that says another is forged or
  // damaged, or the register is: it is dropped and the operator told, for it must not be able to stop the link.
  localparam SAID_W = EPOCH_W < 32 ? EPOCH_W : 32;
  wire offers = rx_slice0_i[59:56] == TYPE_OFFER;
  wire dated = (offers || says_outcome) && (delta == DELTA_SAME || (delta == DELTA_NEXT && bound && !offers));
  wire taken = rx_slice0_i[59:56] == TYPE_TAKEN;
  wire since = !bound && !offers && phase == PHASE_TAKEN;  // both speak of the round before this one
  wire [SAID_W-1:0] expected = epoch[SAID_W-1:0] + {{SAID_W - 1{1'b0}}, taken && !(bound && delta == DELTA_SAME)} -
      {{SAID_W - 1{1'b0}}, since};
  wire listens = state == STATE_WAIT || state == STATE_READY || state == STATE_OFFERED;
  wire contradicts = receives && listens && address == ADDRESS_PEER && dated && rx_slice0_i[SAID_W-1:0] != expected;
  wire fires = valid_d && !contradicts && !rst_i && !crash_i;

  // The row.
  wire [6:0] row;
  wire [3:0] write, drop;
  wire [ACTS-1:0] acts;
  blp_table u_table (
      .state_i  (state),
      .event_i  (event_d),
      .address_i(address),
      .virgin_i (virgin),
      .delta_i  (delta),
      .outcome_i(phase == says ? OUTCOME_EQUAL : OUTCOME_DIFFERS),
      .cancel_i (rx_slice0_i[54]),
      .answer_i (app_answer_i),
      .inbox_i  (inbox_full),
      .queue_i  (queue_q),
      .named_i  (app_consume_round_i == inbox_round),
      .ruled_i  (format_ruled_i),
      .row_o    (row),
      .write_o  (write),
      .acts_o   (acts),
      .drop_o   (drop)
  );

`ifdef BLP_MUTANT_V10  // an offer is taken back by who made it
  wire revokes = event_d == EVENT_APP_CANCEL && state == STATE_OFFERED;
  wire [3:0] written = revokes ? WRITE_CONFIRM_RETURNED : write;
`else
  wire [3:0] written = write;
`endif
  wire writes = fires && written != WRITE_NONE;

  // The register that it writes.
  wire [SLOT_W-1:0] app = receives ? app_give_slot_i : offers_queued ? queued_q : app_offer_slot_i;
  wire [NVID_W-1:0] nvid_d, peer_d;
  wire [ROUND_W-1:0] round_d, inbox_round_d;
  wire [1:0] phase_d;
  wire [SLOT_W-1:0] slot_d, inbox_d;
  wire [EPOCH_W-1:0] epoch_d;
  blp_write #(
      .NVID_W (NVID_W),
      .ROUND_W(ROUND_W),
      .EPOCH_W(EPOCH_W),
      .SLOT_W (SLOT_W)
  ) u_write (
      .write_i      (written),
      .nvid_i       (nvid),
      .peer_i       (peer),
      .round_i      (round),
      .phase_i      (phase),
      .slot_i       (slot),
      .epoch_i      (epoch),
      .inbox_i      (inbox),
      .inbox_round_i(inbox_round),
      .frame_i      (rx_slot_i),
      .app_i        (app),
      .sender_i     (rx_src_i),
      .fresh_i      (format_nvid_i),
      .nvid_o       (nvid_d),
      .peer_o       (peer_d),
      .round_o      (round_d),
      .phase_o      (phase_d),
      .slot_o       (slot_d),
      .epoch_o      (epoch_d),
      .inbox_o      (inbox_d),
      .inbox_round_o(inbox_round_d)
  );

`ifdef BLP_MUTANT_DELIVERY  // the payload goes to the application apart from the register
  wire [SLOT_W-1:0] inbox_w = inbox;
`else
  wire [SLOT_W-1:0] inbox_w = inbox_d;
`endif
  assign nv_write_o = writes;
  assign nv_data_o  = {nvid_d, peer_d, round_d, phase_d, slot_d, epoch_d, inbox_w, inbox_round_d};

  // Acts: at once, or when the write is done.
  wire done = writing_q && nv_done_i;
  wire [ACTS-1:0] due = done ? acts_q : fires && !writes ? acts : {ACTS{1'b0}};
  wire forgets = due[ACT_FORGET];
  wire link_d = !forgets && (due[ACT_LINK_UP] || (link_q && !due[ACT_LINK_DOWN]));
  wire echoes = fires && receives && address == ADDRESS_PEER && drop == DROP_NONE;

  always @(posedge clk_i) begin
    booted_q  <= booted_q || fires;
    writing_q <= writes || (writing_q && !nv_done_i);
    link_q    <= link_d;
    heard_q   <= link_d && (due[ACT_HEAR] || (heard_q && !due[ACT_UNHEAR]));
    cancel_q  <= !forgets && (due[ACT_WISH] || (cancel_q && !due[ACT_UNWISH]));
    fenced_q  <= !forgets && (due[ACT_FENCE] || fenced_q);
    queue_q   <= !forgets && (due[ACT_ENQUEUE] || (queue_q && !due[ACT_DEQUEUE]));
`ifdef BLP_MUTANT_V7  // sent before it is written
    emit_q <= link_d && (due[ACT_EMIT] || (writes && acts[ACT_EMIT]) || (emit_q && !(tx_valid_o && tx_ready_i)));
`else
    emit_q <= link_d && (due[ACT_EMIT] || (emit_q && !(tx_valid_o && tx_ready_i)));
`endif
    if (due[ACT_ENQUEUE]) queued_q <= app;
    if (echoes) echo_q <= rx_slice0_i;
    if (forgets) echo_q <= 64'h0;
    if (writes) begin
      acts_q <= acts;
      // What comes back, or what came; kept because the register has changed when it is told.
      told_q <= acts[ACT_TELL_REVERSED] ? slot : inbox_d;
    end
    if (rst_i || crash_i) begin
      booted_q  <= 1'b0;
      writing_q <= 1'b0;
      link_q    <= 1'b0;
      heard_q   <= 1'b0;
      cancel_q  <= 1'b0;
      fenced_q  <= 1'b0;
      queue_q   <= 1'b0;
      emit_q    <= 1'b0;
    end
  end

  assign tell_refused_o  = due[ACT_TELL_REFUSED];
  assign tell_reversed_o = due[ACT_TELL_REVERSED];
  assign tell_alarm_o    = due[ACT_TELL_ALARM] || stat_bad_epoch_o;
`ifdef BLP_MUTANT_V8  // told before it is written
  assign tell_committed_o = writes && acts[ACT_TELL_COMMITTED];
  assign tell_slot_o      = inbox_d;
`else
  assign tell_committed_o = due[ACT_TELL_COMMITTED];
  assign tell_slot_o      = told_q;
`endif
  assign inbox_o         = inbox;
  assign inbox_round_o   = inbox_round;

  // The snapshot.
`ifdef BLP_MUTANT_V7
  reg [REGISTER_W-1:0] ahead_q;
  always @(posedge clk_i) if (writes) ahead_q <= nv_data_o;
  wire [NVID_W-1:0] sent_nvid, sent_peer;
  wire [ROUND_W-1:0] sent_round, sent_inbox_round;
  wire [1:0] sent_phase;
  wire [SLOT_W-1:0] sent_slot, sent_inbox;
  wire [EPOCH_W-1:0] sent_epoch;
  assign {sent_nvid, sent_peer, sent_round, sent_phase, sent_slot, sent_epoch, sent_inbox, sent_inbox_round} =
      writing_q ? ahead_q : nv_data_i;
  assign tx_valid_o = emit_q;
`else
  wire [NVID_W-1:0] sent_nvid = nvid, sent_peer = peer;
  wire [WINDOW_W-1:0] sent_round = round[WINDOW_W-1:0];
  wire [1:0] sent_phase = phase;
  wire [SLOT_W-1:0] sent_slot = slot, sent_inbox = inbox;
  wire [EPOCH_W-1:0] sent_epoch = epoch;
  assign tx_valid_o = emit_q && !writing_q;
`endif
  wire hello = sent_peer == {NVID_W{1'b0}};
  assign tx_type_o       = fenced_q ? TYPE_FENCE : hello ? TYPE_HELLO : {2'b00, sent_phase};
  assign tx_cancel_req_o = cancel_q && tx_type_o == TYPE_OFFER;
  assign tx_credit_o     = !sent_inbox[SLOT_W-1];
  assign tx_heard_o      = heard_q;
  assign tx_round_o      = sent_round[WINDOW_W-1:0];
  assign tx_epoch_o      = sent_epoch;
  assign tx_echo_o       = echo_q;
  assign tx_src_o        = sent_nvid;
  assign tx_dst_o        = sent_peer;
  assign tx_slot_o       = sent_slot;

  assign state_o      = state;
  assign volatile_o   = {link_q, heard_q, cancel_q, fenced_q, queue_q};
  assign stat_valid_o = fires;
  assign stat_row_o   = row;
  assign stat_drop_o  = drop;
  assign stat_bad_epoch_o = contradicts && !rst_i && !crash_i;

`ifdef FORMAL
  assign f_acts_o   = acts_q;
  assign f_queued_o = queued_q;
`endif

endmodule

`resetall
