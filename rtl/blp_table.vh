// Made from the transition table by `python -m hwsim.bilateral.verilog rtl`: do not edit.
// verilator lint_off UNUSEDPARAM
// Not every module asks for every name.
localparam STATE_W = 3;
localparam [2:0] STATE_WRITING = 3'd0;
localparam [2:0] STATE_FENCED = 3'd1;
localparam [2:0] STATE_DOWN = 3'd2;
localparam [2:0] STATE_UNPAIRED = 3'd3;
localparam [2:0] STATE_OFFERED = 3'd4;
localparam [2:0] STATE_READY = 3'd5;
localparam [2:0] STATE_WAIT = 3'd6;

localparam EVENT_W = 4;
localparam [3:0] EVENT_POWER_ON = 4'd0;
localparam [3:0] EVENT_LINK_UP = 4'd1;
localparam [3:0] EVENT_LINK_DOWN = 4'd2;
localparam [3:0] EVENT_TIMER = 4'd3;
localparam [3:0] EVENT_APP_OFFER = 4'd4;
localparam [3:0] EVENT_APP_CANCEL = 4'd5;
localparam [3:0] EVENT_APP_CONSUME = 4'd6;
localparam [3:0] EVENT_FORMAT = 4'd7;
localparam [3:0] EVENT_RX_HELLO = 4'd8;
localparam [3:0] EVENT_RX_OFFER = 4'd9;
localparam [3:0] EVENT_RX_TAKEN = 4'd10;
localparam [3:0] EVENT_RX_RETURNED = 4'd11;
localparam [3:0] EVENT_RX_FENCE = 4'd12;

localparam [1:0] PHASE_RETURNED = 2'd1;
localparam [1:0] PHASE_TAKEN = 2'd2;
localparam [1:0] PHASE_OFFER = 2'd3;

localparam ADDRESS_W = 2;
localparam [1:0] ADDRESS_PEER = 2'd0;
localparam [1:0] ADDRESS_STRANGER = 2'd1;
localparam [1:0] ADDRESS_ELSEWHERE = 2'd2;
localparam [1:0] ADDRESS_OWN = 2'd3;

localparam VIRGIN_W = 1;
localparam [0:0] VIRGIN_NO = 1'd0;
localparam [0:0] VIRGIN_YES = 1'd1;

localparam DELTA_W = 3;
localparam [2:0] DELTA_SAME = 3'd0;
localparam [2:0] DELTA_NEXT = 3'd1;
localparam [2:0] DELTA_PREVIOUS = 3'd2;
localparam [2:0] DELTA_PAST = 3'd3;
localparam [2:0] DELTA_FUTURE = 3'd4;

localparam OUTCOME_W = 1;
localparam [0:0] OUTCOME_EQUAL = 1'd0;
localparam [0:0] OUTCOME_DIFFERS = 1'd1;

localparam CANCEL_W = 1;
localparam [0:0] CANCEL_NO = 1'd0;
localparam [0:0] CANCEL_YES = 1'd1;

localparam ANSWER_W = 2;
localparam [1:0] ANSWER_ACCEPT = 2'd0;
localparam [1:0] ANSWER_GIVE = 2'd1;
localparam [1:0] ANSWER_REJECT = 2'd2;
localparam [1:0] ANSWER_BUSY = 2'd3;

localparam INBOX_W = 1;
localparam [0:0] INBOX_EMPTY = 1'd0;
localparam [0:0] INBOX_FULL = 1'd1;

localparam QUEUE_W = 1;
localparam [0:0] QUEUE_EMPTY = 1'd0;
localparam [0:0] QUEUE_FULL = 1'd1;

localparam NAMED_W = 1;
localparam [0:0] NAMED_NO = 1'd0;
localparam [0:0] NAMED_YES = 1'd1;

localparam RULED_W = 1;
localparam [0:0] RULED_NO = 1'd0;
localparam [0:0] RULED_YES = 1'd1;

// What is written; NONE: nothing.
localparam WRITE_W = 4;
localparam [3:0] WRITE_NONE = 4'd0;
localparam [3:0] WRITE_PAIR = 4'd1;
localparam [3:0] WRITE_OFFER = 4'd2;
localparam [3:0] WRITE_ACCEPT = 4'd3;
localparam [3:0] WRITE_ACCEPT_GIVE = 4'd4;
localparam [3:0] WRITE_REJECT = 4'd5;
localparam [3:0] WRITE_CROSS = 4'd6;
localparam [3:0] WRITE_CONFIRM_TAKEN = 4'd7;
localparam [3:0] WRITE_CONFIRM_RETURNED = 4'd8;
localparam [3:0] WRITE_CONSUME = 4'd9;
localparam [3:0] WRITE_FORMAT = 4'd10;

// Acts: which bit of the vector.
localparam ACTS = 15;
localparam ACT_EMIT = 0;
localparam ACT_HEAR = 1;
localparam ACT_UNHEAR = 2;
localparam ACT_LINK_UP = 3;
localparam ACT_LINK_DOWN = 4;
localparam ACT_FENCE = 5;
localparam ACT_WISH = 6;
localparam ACT_UNWISH = 7;
localparam ACT_ENQUEUE = 8;
localparam ACT_DEQUEUE = 9;
localparam ACT_FORGET = 10;
localparam ACT_TELL_REFUSED = 11;
localparam ACT_TELL_COMMITTED = 12;
localparam ACT_TELL_REVERSED = 13;
localparam ACT_TELL_ALARM = 14;

// Why a frame that changes nothing is counted; NONE: it is not.
localparam DROP_W = 4;
localparam [3:0] DROP_NONE = 4'd0;
localparam [3:0] DROP_WRITING = 4'd1;
localparam [3:0] DROP_FENCED = 4'd2;
localparam [3:0] DROP_LINK_DOWN = 4'd3;
localparam [3:0] DROP_OWN = 4'd4;
localparam [3:0] DROP_NOT_FOR_ME = 4'd5;
localparam [3:0] DROP_STALE = 4'd6;
localparam [3:0] DROP_NOT_YET = 4'd7;
localparam [3:0] DROP_PAST = 4'd8;

localparam ROWS = 100;
localparam ROW_W = 7;
localparam [6:0] ROW_POWER_ON = 7'd0;
localparam [6:0] ROW_LINK_UP = 7'd1;
localparam [6:0] ROW_LINK_UP_WHILE_WRITING = 7'd2;
localparam [6:0] ROW_LINK_UP_AGAIN = 7'd3;
localparam [6:0] ROW_LINK_DOWN = 7'd4;
localparam [6:0] ROW_BEACON = 7'd5;
localparam [6:0] ROW_TIMER_IDLE = 7'd6;
localparam [6:0] ROW_OFFERED = 7'd7;
localparam [6:0] ROW_OFFER_REFUSED_WHILE_FULL = 7'd8;
localparam [6:0] ROW_OFFER_QUEUED = 7'd9;
localparam [6:0] ROW_OFFER_REFUSED_BEHIND_ANOTHER = 7'd10;
localparam [6:0] ROW_OFFER_REFUSED = 7'd11;
localparam [6:0] ROW_CANCEL_QUEUED = 7'd12;
localparam [6:0] ROW_CANCEL_WISHED = 7'd13;
localparam [6:0] ROW_CANCEL_REFUSED = 7'd14;
localparam [6:0] ROW_CONSUMED = 7'd15;
localparam [6:0] ROW_CONSUME_OF_ANOTHER_ROUND = 7'd16;
localparam [6:0] ROW_CONSUME_OF_NOTHING = 7'd17;
localparam [6:0] ROW_CONSUME_WHILE_WRITING = 7'd18;
localparam [6:0] ROW_FORMATTED = 7'd19;
localparam [6:0] ROW_FORMATTED_ONCE_RULED = 7'd20;
localparam [6:0] ROW_FORMAT_REFUSED = 7'd21;
localparam [6:0] ROW_FORMAT_WHILE_WRITING = 7'd22;
localparam [6:0] ROW_HELLO_WHILE_WRITING = 7'd23;
localparam [6:0] ROW_HELLO_WHILE_FENCED = 7'd24;
localparam [6:0] ROW_HELLO_WHILE_DOWN = 7'd25;
localparam [6:0] ROW_HELLO_OWN = 7'd26;
localparam [6:0] ROW_HELLO_ELSEWHERE_UNPAIRED = 7'd27;
localparam [6:0] ROW_HELLO_ELSEWHERE = 7'd28;
localparam [6:0] ROW_HELLO_OF_A_STRANGER = 7'd29;
localparam [6:0] ROW_HELLO_PAIRS = 7'd30;
localparam [6:0] ROW_HELLO_PAIRS_ANEW = 7'd31;
localparam [6:0] ROW_OFFER_WHILE_WRITING = 7'd32;
localparam [6:0] ROW_OFFER_WHILE_FENCED = 7'd33;
localparam [6:0] ROW_OFFER_WHILE_DOWN = 7'd34;
localparam [6:0] ROW_OFFER_OWN = 7'd35;
localparam [6:0] ROW_OFFER_ELSEWHERE_UNPAIRED = 7'd36;
localparam [6:0] ROW_OFFER_ELSEWHERE = 7'd37;
localparam [6:0] ROW_OFFER_OF_A_STRANGER = 7'd38;
localparam [6:0] ROW_OFFER_PAIRS = 7'd39;
localparam [6:0] ROW_OFFER_PAIRS_ANEW = 7'd40;
localparam [6:0] ROW_TAKEN_WHILE_WRITING = 7'd41;
localparam [6:0] ROW_TAKEN_WHILE_FENCED = 7'd42;
localparam [6:0] ROW_TAKEN_WHILE_DOWN = 7'd43;
localparam [6:0] ROW_TAKEN_OWN = 7'd44;
localparam [6:0] ROW_TAKEN_ELSEWHERE_UNPAIRED = 7'd45;
localparam [6:0] ROW_TAKEN_ELSEWHERE = 7'd46;
localparam [6:0] ROW_TAKEN_OF_A_STRANGER = 7'd47;
localparam [6:0] ROW_TAKEN_PAIRS = 7'd48;
localparam [6:0] ROW_TAKEN_PAIRS_ANEW = 7'd49;
localparam [6:0] ROW_RETURNED_WHILE_WRITING = 7'd50;
localparam [6:0] ROW_RETURNED_WHILE_FENCED = 7'd51;
localparam [6:0] ROW_RETURNED_WHILE_DOWN = 7'd52;
localparam [6:0] ROW_RETURNED_OWN = 7'd53;
localparam [6:0] ROW_RETURNED_ELSEWHERE_UNPAIRED = 7'd54;
localparam [6:0] ROW_RETURNED_ELSEWHERE = 7'd55;
localparam [6:0] ROW_RETURNED_OF_A_STRANGER = 7'd56;
localparam [6:0] ROW_RETURNED_PAIRS = 7'd57;
localparam [6:0] ROW_RETURNED_PAIRS_ANEW = 7'd58;
localparam [6:0] ROW_FENCE_WHILE_WRITING = 7'd59;
localparam [6:0] ROW_FENCE_WHILE_FENCED = 7'd60;
localparam [6:0] ROW_FENCE_WHILE_DOWN = 7'd61;
localparam [6:0] ROW_FENCE_OWN = 7'd62;
localparam [6:0] ROW_FENCE_ELSEWHERE_UNPAIRED = 7'd63;
localparam [6:0] ROW_FENCE_ELSEWHERE = 7'd64;
localparam [6:0] ROW_FENCE_OF_A_STRANGER = 7'd65;
localparam [6:0] ROW_FENCE_OF_A_STRANGER_UNPAIRED = 7'd66;
localparam [6:0] ROW_FENCE_OF_A_STRANGER_VIRGIN = 7'd67;
localparam [6:0] ROW_FENCE_ELSEWHERE_VIRGIN = 7'd68;
localparam [6:0] ROW_HELLO_OF_THE_PEER = 7'd69;
localparam [6:0] ROW_HELLO_STALE = 7'd70;
localparam [6:0] ROW_FENCED_BY_THE_PEER = 7'd71;
localparam [6:0] ROW_OFFER_CANCELLED = 7'd72;
localparam [6:0] ROW_OFFER_REJECTED = 7'd73;
localparam [6:0] ROW_OFFER_ACCEPTED = 7'd74;
localparam [6:0] ROW_OFFER_SWAPPED = 7'd75;
localparam [6:0] ROW_OFFER_WHILE_BUSY = 7'd76;
localparam [6:0] ROW_OFFER_WHILE_FULL = 7'd77;
localparam [6:0] ROW_OFFERS_CROSS = 7'd78;
localparam [6:0] ROW_OFFER_OF_THE_LAST_ROUND = 7'd79;
localparam [6:0] ROW_OFFER_STALE_WHILE_BOUND = 7'd80;
localparam [6:0] ROW_OFFER_TOO_EARLY = 7'd81;
localparam [6:0] ROW_TAKEN_AGREES = 7'd82;
localparam [6:0] ROW_TAKEN_DISAGREES = 7'd83;
localparam [6:0] ROW_TAKEN_BEFORE_MY_OFFER = 7'd84;
localparam [6:0] ROW_TAKEN_CONFIRMS = 7'd85;
localparam [6:0] ROW_TAKEN_TOO_EARLY = 7'd86;
localparam [6:0] ROW_TAKEN_STALE = 7'd87;
localparam [6:0] ROW_RETURNED_AGREES = 7'd88;
localparam [6:0] ROW_RETURNED_DISAGREES = 7'd89;
localparam [6:0] ROW_RETURNED_BEFORE_MY_OFFER = 7'd90;
localparam [6:0] ROW_RETURNED_CONFIRMS = 7'd91;
localparam [6:0] ROW_RETURNED_TOO_EARLY = 7'd92;
localparam [6:0] ROW_RETURNED_STALE = 7'd93;
localparam [6:0] ROW_OFFER_OF_THE_PAST = 7'd94;
localparam [6:0] ROW_OFFER_OF_THE_FUTURE = 7'd95;
localparam [6:0] ROW_TAKEN_OF_THE_PAST = 7'd96;
localparam [6:0] ROW_TAKEN_OF_THE_FUTURE = 7'd97;
localparam [6:0] ROW_RETURNED_OF_THE_PAST = 7'd98;
localparam [6:0] ROW_RETURNED_OF_THE_FUTURE = 7'd99;
// verilator lint_on UNUSEDPARAM
