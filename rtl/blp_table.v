// Made from the transition table by `python -m hwsim.bilateral.verilog rtl`: do not edit.
`resetall
`timescale 1ns / 1ps
`default_nettype none

// Of the rows of an event exactly one applies.
module blp_table (
    input  wire [2:0]  state_i,
    input  wire [3:0]  event_i,
    input  wire [1:0]  address_i,
    input  wire        virgin_i,
    input  wire [2:0]  delta_i,
    input  wire        outcome_i,
    input  wire        cancel_i,
    input  wire [1:0]  answer_i,
    input  wire        inbox_i,
    input  wire        queue_i,
    input  wire        named_i,
    input  wire        ruled_i,
    output reg  [6:0]  row_o,
    output reg  [3:0]  write_o,
    output reg  [14:0] acts_o,
    output reg  [3:0]  drop_o
);

`include "blp_table.vh"

  always @* begin
    row_o   = 7'd0;
    write_o = WRITE_NONE;
    acts_o  = 15'd0;
    drop_o  = DROP_NONE;
    case (event_i)
      EVENT_POWER_ON: begin  // asks about nothing
        if (1'b1) begin
          row_o = ROW_POWER_ON;
          acts_o[ACT_FORGET] = 1'b1;
        end
      end
      EVENT_LINK_UP: begin  // asks about nothing
        if (state_i == STATE_DOWN) begin
          row_o = ROW_LINK_UP;
          acts_o[ACT_LINK_UP] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if (state_i == STATE_WRITING) begin
          row_o = ROW_LINK_UP_WHILE_WRITING;
          acts_o[ACT_LINK_UP] = 1'b1;
        end
        if (state_i != STATE_WRITING && state_i != STATE_DOWN) begin
          row_o = ROW_LINK_UP_AGAIN;
          acts_o[ACT_LINK_UP] = 1'b1;
        end
      end
      EVENT_LINK_DOWN: begin  // asks about nothing
        if (1'b1) begin
          row_o = ROW_LINK_DOWN;
          acts_o[ACT_LINK_DOWN] = 1'b1;
          acts_o[ACT_UNHEAR] = 1'b1;
        end
      end
      EVENT_TIMER: begin  // asks about nothing
        if (state_i != STATE_WRITING && state_i != STATE_DOWN) begin
          row_o = ROW_BEACON;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if (state_i == STATE_WRITING || state_i == STATE_DOWN) begin
          row_o = ROW_TIMER_IDLE;
        end
      end
      EVENT_APP_OFFER: begin  // asks about inbox, queue
        if (state_i == STATE_READY &&
            inbox_i == INBOX_EMPTY) begin
          row_o = ROW_OFFERED;
          write_o = WRITE_OFFER;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_DEQUEUE] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if (state_i == STATE_READY &&
            inbox_i == INBOX_FULL) begin
          row_o = ROW_OFFER_REFUSED_WHILE_FULL;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
        if (state_i == STATE_WAIT &&
            queue_i == QUEUE_EMPTY) begin
          row_o = ROW_OFFER_QUEUED;
          acts_o[ACT_ENQUEUE] = 1'b1;
        end
        if (state_i == STATE_WAIT &&
            queue_i == QUEUE_FULL) begin
          row_o = ROW_OFFER_REFUSED_BEHIND_ANOTHER;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
        if (state_i != STATE_READY && state_i != STATE_WAIT) begin
          row_o = ROW_OFFER_REFUSED;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
      end
      EVENT_APP_CANCEL: begin  // asks about nothing
        if (state_i != STATE_WRITING && state_i != STATE_FENCED && state_i != STATE_OFFERED) begin
          row_o = ROW_CANCEL_QUEUED;
          acts_o[ACT_DEQUEUE] = 1'b1;
        end
        if (state_i == STATE_OFFERED) begin
          row_o = ROW_CANCEL_WISHED;
          acts_o[ACT_WISH] = 1'b1;
        end
        if (state_i == STATE_WRITING || state_i == STATE_FENCED) begin
          row_o = ROW_CANCEL_REFUSED;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
      end
      EVENT_APP_CONSUME: begin  // asks about inbox, named
        if (state_i != STATE_WRITING &&
            inbox_i == INBOX_FULL &&
            named_i == NAMED_YES) begin
          row_o = ROW_CONSUMED;
          write_o = WRITE_CONSUME;
        end
        if (state_i != STATE_WRITING &&
            inbox_i == INBOX_FULL &&
            named_i == NAMED_NO) begin
          row_o = ROW_CONSUME_OF_ANOTHER_ROUND;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
        if (state_i != STATE_WRITING &&
            inbox_i == INBOX_EMPTY) begin
          row_o = ROW_CONSUME_OF_NOTHING;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
        if (state_i == STATE_WRITING) begin
          row_o = ROW_CONSUME_WHILE_WRITING;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
      end
      EVENT_FORMAT: begin  // asks about ruled
        if (state_i != STATE_WRITING && state_i != STATE_FENCED && state_i != STATE_OFFERED) begin
          row_o = ROW_FORMATTED;
          write_o = WRITE_FORMAT;
          acts_o[ACT_FORGET] = 1'b1;
        end
        if ((state_i == STATE_FENCED || state_i == STATE_OFFERED) &&
            ruled_i == RULED_YES) begin
          row_o = ROW_FORMATTED_ONCE_RULED;
          write_o = WRITE_FORMAT;
          acts_o[ACT_FORGET] = 1'b1;
        end
        if ((state_i == STATE_FENCED || state_i == STATE_OFFERED) &&
            ruled_i == RULED_NO) begin
          row_o = ROW_FORMAT_REFUSED;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
        if (state_i == STATE_WRITING) begin
          row_o = ROW_FORMAT_WHILE_WRITING;
          acts_o[ACT_TELL_REFUSED] = 1'b1;
        end
      end
      EVENT_RX_HELLO: begin  // asks about address, virgin
        if (state_i == STATE_WRITING) begin
          row_o = ROW_HELLO_WHILE_WRITING;
          drop_o = DROP_WRITING;
        end
        if (state_i == STATE_FENCED) begin
          row_o = ROW_HELLO_WHILE_FENCED;
          drop_o = DROP_FENCED;
        end
        if (state_i == STATE_DOWN) begin
          row_o = ROW_HELLO_WHILE_DOWN;
          drop_o = DROP_LINK_DOWN;
        end
        if (state_i != STATE_WRITING && state_i != STATE_FENCED && state_i != STATE_DOWN &&
            address_i == ADDRESS_OWN) begin
          row_o = ROW_HELLO_OWN;
          drop_o = DROP_OWN;
        end
        if (state_i == STATE_UNPAIRED &&
            address_i == ADDRESS_ELSEWHERE) begin
          row_o = ROW_HELLO_ELSEWHERE_UNPAIRED;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_ELSEWHERE &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_HELLO_ELSEWHERE;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_STRANGER &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_HELLO_OF_A_STRANGER;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if (state_i == STATE_UNPAIRED &&
            (address_i == ADDRESS_PEER || address_i == ADDRESS_STRANGER)) begin
          row_o = ROW_HELLO_PAIRS;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            (address_i == ADDRESS_STRANGER || address_i == ADDRESS_ELSEWHERE) &&
            virgin_i == VIRGIN_YES) begin
          row_o = ROW_HELLO_PAIRS_ANEW;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER) begin
          row_o = ROW_HELLO_OF_THE_PEER;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if (state_i == STATE_OFFERED &&
            address_i == ADDRESS_PEER) begin
          row_o = ROW_HELLO_STALE;
          drop_o = DROP_STALE;
        end
      end
      EVENT_RX_OFFER: begin  // asks about address, virgin, delta, cancel, answer, inbox
        if (state_i == STATE_WRITING) begin
          row_o = ROW_OFFER_WHILE_WRITING;
          drop_o = DROP_WRITING;
        end
        if (state_i == STATE_FENCED) begin
          row_o = ROW_OFFER_WHILE_FENCED;
          drop_o = DROP_FENCED;
        end
        if (state_i == STATE_DOWN) begin
          row_o = ROW_OFFER_WHILE_DOWN;
          drop_o = DROP_LINK_DOWN;
        end
        if (state_i != STATE_WRITING && state_i != STATE_FENCED && state_i != STATE_DOWN &&
            address_i == ADDRESS_OWN) begin
          row_o = ROW_OFFER_OWN;
          drop_o = DROP_OWN;
        end
        if (state_i == STATE_UNPAIRED &&
            address_i == ADDRESS_ELSEWHERE) begin
          row_o = ROW_OFFER_ELSEWHERE_UNPAIRED;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_ELSEWHERE &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_OFFER_ELSEWHERE;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_STRANGER &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_OFFER_OF_A_STRANGER;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if (state_i == STATE_UNPAIRED &&
            (address_i == ADDRESS_PEER || address_i == ADDRESS_STRANGER)) begin
          row_o = ROW_OFFER_PAIRS;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            (address_i == ADDRESS_STRANGER || address_i == ADDRESS_ELSEWHERE) &&
            virgin_i == VIRGIN_YES) begin
          row_o = ROW_OFFER_PAIRS_ANEW;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            cancel_i == CANCEL_YES) begin
          row_o = ROW_OFFER_CANCELLED;
          write_o = WRITE_REJECT;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            cancel_i == CANCEL_NO &&
            answer_i == ANSWER_REJECT) begin
          row_o = ROW_OFFER_REJECTED;
          write_o = WRITE_REJECT;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            cancel_i == CANCEL_NO &&
            answer_i == ANSWER_ACCEPT &&
            inbox_i == INBOX_EMPTY) begin
          row_o = ROW_OFFER_ACCEPTED;
          write_o = WRITE_ACCEPT;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
          acts_o[ACT_TELL_COMMITTED] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            cancel_i == CANCEL_NO &&
            answer_i == ANSWER_GIVE &&
            inbox_i == INBOX_EMPTY) begin
          row_o = ROW_OFFER_SWAPPED;
          write_o = WRITE_ACCEPT_GIVE;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
          acts_o[ACT_TELL_COMMITTED] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            cancel_i == CANCEL_NO &&
            answer_i == ANSWER_BUSY) begin
          row_o = ROW_OFFER_WHILE_BUSY;
          acts_o[ACT_HEAR] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            cancel_i == CANCEL_NO &&
            (answer_i == ANSWER_ACCEPT || answer_i == ANSWER_GIVE) &&
            inbox_i == INBOX_FULL) begin
          row_o = ROW_OFFER_WHILE_FULL;
          acts_o[ACT_HEAR] = 1'b1;
        end
        if (state_i == STATE_OFFERED &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME) begin
          row_o = ROW_OFFERS_CROSS;
          write_o = WRITE_CROSS;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_UNWISH] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
          acts_o[ACT_TELL_COMMITTED] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_PREVIOUS) begin
          row_o = ROW_OFFER_OF_THE_LAST_ROUND;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if (state_i == STATE_OFFERED &&
            address_i == ADDRESS_PEER &&
            (delta_i == DELTA_NEXT || delta_i == DELTA_PREVIOUS)) begin
          row_o = ROW_OFFER_STALE_WHILE_BOUND;
          drop_o = DROP_STALE;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_NEXT) begin
          row_o = ROW_OFFER_TOO_EARLY;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_PAST) begin
          row_o = ROW_OFFER_OF_THE_PAST;
          drop_o = DROP_PAST;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_FUTURE) begin
          row_o = ROW_OFFER_OF_THE_FUTURE;
          acts_o[ACT_FENCE] = 1'b1;
        end
      end
      EVENT_RX_TAKEN: begin  // asks about address, virgin, delta, outcome
        if (state_i == STATE_WRITING) begin
          row_o = ROW_TAKEN_WHILE_WRITING;
          drop_o = DROP_WRITING;
        end
        if (state_i == STATE_FENCED) begin
          row_o = ROW_TAKEN_WHILE_FENCED;
          drop_o = DROP_FENCED;
        end
        if (state_i == STATE_DOWN) begin
          row_o = ROW_TAKEN_WHILE_DOWN;
          drop_o = DROP_LINK_DOWN;
        end
        if (state_i != STATE_WRITING && state_i != STATE_FENCED && state_i != STATE_DOWN &&
            address_i == ADDRESS_OWN) begin
          row_o = ROW_TAKEN_OWN;
          drop_o = DROP_OWN;
        end
        if (state_i == STATE_UNPAIRED &&
            address_i == ADDRESS_ELSEWHERE) begin
          row_o = ROW_TAKEN_ELSEWHERE_UNPAIRED;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_ELSEWHERE &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_TAKEN_ELSEWHERE;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_STRANGER &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_TAKEN_OF_A_STRANGER;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if (state_i == STATE_UNPAIRED &&
            (address_i == ADDRESS_PEER || address_i == ADDRESS_STRANGER)) begin
          row_o = ROW_TAKEN_PAIRS;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            (address_i == ADDRESS_STRANGER || address_i == ADDRESS_ELSEWHERE) &&
            virgin_i == VIRGIN_YES) begin
          row_o = ROW_TAKEN_PAIRS_ANEW;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            outcome_i == OUTCOME_EQUAL) begin
          row_o = ROW_TAKEN_AGREES;
          acts_o[ACT_HEAR] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            outcome_i == OUTCOME_DIFFERS) begin
          row_o = ROW_TAKEN_DISAGREES;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if (state_i == STATE_OFFERED &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME) begin
          row_o = ROW_TAKEN_BEFORE_MY_OFFER;
          drop_o = DROP_NOT_YET;
        end
        if (state_i == STATE_OFFERED &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_NEXT) begin
          row_o = ROW_TAKEN_CONFIRMS;
          write_o = WRITE_CONFIRM_TAKEN;
          acts_o[ACT_HEAR] = 1'b1;
          acts_o[ACT_UNWISH] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
          acts_o[ACT_TELL_COMMITTED] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_NEXT) begin
          row_o = ROW_TAKEN_TOO_EARLY;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_PREVIOUS) begin
          row_o = ROW_TAKEN_STALE;
          drop_o = DROP_STALE;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_PAST) begin
          row_o = ROW_TAKEN_OF_THE_PAST;
          drop_o = DROP_PAST;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_FUTURE) begin
          row_o = ROW_TAKEN_OF_THE_FUTURE;
          acts_o[ACT_FENCE] = 1'b1;
        end
      end
      EVENT_RX_RETURNED: begin  // asks about address, virgin, delta, outcome
        if (state_i == STATE_WRITING) begin
          row_o = ROW_RETURNED_WHILE_WRITING;
          drop_o = DROP_WRITING;
        end
        if (state_i == STATE_FENCED) begin
          row_o = ROW_RETURNED_WHILE_FENCED;
          drop_o = DROP_FENCED;
        end
        if (state_i == STATE_DOWN) begin
          row_o = ROW_RETURNED_WHILE_DOWN;
          drop_o = DROP_LINK_DOWN;
        end
        if (state_i != STATE_WRITING && state_i != STATE_FENCED && state_i != STATE_DOWN &&
            address_i == ADDRESS_OWN) begin
          row_o = ROW_RETURNED_OWN;
          drop_o = DROP_OWN;
        end
        if (state_i == STATE_UNPAIRED &&
            address_i == ADDRESS_ELSEWHERE) begin
          row_o = ROW_RETURNED_ELSEWHERE_UNPAIRED;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_ELSEWHERE &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_RETURNED_ELSEWHERE;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_STRANGER &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_RETURNED_OF_A_STRANGER;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if (state_i == STATE_UNPAIRED &&
            (address_i == ADDRESS_PEER || address_i == ADDRESS_STRANGER)) begin
          row_o = ROW_RETURNED_PAIRS;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            (address_i == ADDRESS_STRANGER || address_i == ADDRESS_ELSEWHERE) &&
            virgin_i == VIRGIN_YES) begin
          row_o = ROW_RETURNED_PAIRS_ANEW;
          write_o = WRITE_PAIR;
          acts_o[ACT_UNHEAR] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            outcome_i == OUTCOME_EQUAL) begin
          row_o = ROW_RETURNED_AGREES;
          acts_o[ACT_HEAR] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME &&
            outcome_i == OUTCOME_DIFFERS) begin
          row_o = ROW_RETURNED_DISAGREES;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if (state_i == STATE_OFFERED &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_SAME) begin
          row_o = ROW_RETURNED_BEFORE_MY_OFFER;
          drop_o = DROP_NOT_YET;
        end
        if (state_i == STATE_OFFERED &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_NEXT) begin
          row_o = ROW_RETURNED_CONFIRMS;
          write_o = WRITE_CONFIRM_RETURNED;
          acts_o[ACT_HEAR] = 1'b1;
          acts_o[ACT_UNWISH] = 1'b1;
          acts_o[ACT_EMIT] = 1'b1;
          acts_o[ACT_TELL_REVERSED] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_NEXT) begin
          row_o = ROW_RETURNED_TOO_EARLY;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_PREVIOUS) begin
          row_o = ROW_RETURNED_STALE;
          drop_o = DROP_STALE;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_PAST) begin
          row_o = ROW_RETURNED_OF_THE_PAST;
          drop_o = DROP_PAST;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER &&
            delta_i == DELTA_FUTURE) begin
          row_o = ROW_RETURNED_OF_THE_FUTURE;
          acts_o[ACT_FENCE] = 1'b1;
        end
      end
      EVENT_RX_FENCE: begin  // asks about address, virgin
        if (state_i == STATE_WRITING) begin
          row_o = ROW_FENCE_WHILE_WRITING;
          drop_o = DROP_WRITING;
        end
        if (state_i == STATE_FENCED) begin
          row_o = ROW_FENCE_WHILE_FENCED;
          drop_o = DROP_FENCED;
        end
        if (state_i == STATE_DOWN) begin
          row_o = ROW_FENCE_WHILE_DOWN;
          drop_o = DROP_LINK_DOWN;
        end
        if (state_i != STATE_WRITING && state_i != STATE_FENCED && state_i != STATE_DOWN &&
            address_i == ADDRESS_OWN) begin
          row_o = ROW_FENCE_OWN;
          drop_o = DROP_OWN;
        end
        if (state_i == STATE_UNPAIRED &&
            address_i == ADDRESS_ELSEWHERE) begin
          row_o = ROW_FENCE_ELSEWHERE_UNPAIRED;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_ELSEWHERE &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_FENCE_ELSEWHERE;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_STRANGER &&
            virgin_i == VIRGIN_NO) begin
          row_o = ROW_FENCE_OF_A_STRANGER;
          acts_o[ACT_FENCE] = 1'b1;
        end
        if (state_i == STATE_UNPAIRED &&
            (address_i == ADDRESS_PEER || address_i == ADDRESS_STRANGER)) begin
          row_o = ROW_FENCE_OF_A_STRANGER_UNPAIRED;
          acts_o[ACT_TELL_ALARM] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_STRANGER &&
            virgin_i == VIRGIN_YES) begin
          row_o = ROW_FENCE_OF_A_STRANGER_VIRGIN;
          acts_o[ACT_TELL_ALARM] = 1'b1;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_ELSEWHERE &&
            virgin_i == VIRGIN_YES) begin
          row_o = ROW_FENCE_ELSEWHERE_VIRGIN;
          drop_o = DROP_NOT_FOR_ME;
        end
        if ((state_i == STATE_WAIT || state_i == STATE_READY || state_i == STATE_OFFERED) &&
            address_i == ADDRESS_PEER) begin
          row_o = ROW_FENCED_BY_THE_PEER;
          acts_o[ACT_FENCE] = 1'b1;
        end
      end
      default: ;
    endcase
  end

endmodule

`resetall
