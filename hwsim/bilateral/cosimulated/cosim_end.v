// One end of a link in a co-simulation, and what stands around it: a MAC that stores and forwards, the inputs that
// whoever runs the simulation deposits, and what it must be told.
//
// A cycle is looked at once, when its inputs have settled (`look_i` turns over) and before the edge that ends it.
// What an end says of it stands in `what_q` and beside it until it is looked at again.  An end that asks (an offer waits
// for the application's answer) is looked at again once `answered_q` has been set; until then nothing happens in it.
//
// The meaning of all this is that of `verilated/link.cpp`.

`resetall
`timescale 1ps / 1ps
`default_nettype none

module cosim_end #(
    parameter WRITE_CYCLES = 10,
    parameter RX_DEPTH = 0,
    // A bit for each row of the table: it writes, its offer waits for an answer, it is the application's offer.
    parameter [127:0] WRITES = 128'd0,
    parameter [127:0] ASKS = 128'd0,
    parameter [127:0] OFFERS = 128'd0
) (
    input  wire        clk_i,
    input  wire        look_i,
    input  wire        looks_i,   // whether it is its turn
    input  wire [63:0] cycle_i,
    input  wire        waves_i,   // goes up: write them from now on
    output wire        asks_o,
    output wire        tells_o,
    output wire        drowsy_o,  // nothing has happened for a while: it may be worth looking whether it stands still
    output wire        began_o    // a write, since `began_q` was cleared
);

  localparam [15:0] SETTLES = 16'd16;
  localparam OCTETS = 128;  // of a frame sent, and of what the mailbox takes at once
  localparam WORDS = 4096;

  localparam ASKED = 0, WRITTEN = 1, SETTLED = 2, HEARD = 3, FENCED = 4, READY = 5, SENT = 6, GRANTED = 7, REFUSED = 8,
             COMMITTED = 9, REVERSED = 10, ALARM = 11;
  localparam [2:0] IS_WRITING = 3'd0, IS_READY = 3'd5;

  // Deposited from outside.
  reg reset_q, crash_q, tear_sel_q, link_q, ruled_q, answered_q;
  reg [1:0] answer_q;
  reg [3:0] pending_q;  // {format, consume, cancel, offer}
  reg [691:0] tear_q;
  reg [200:0] offer_q, give_q;
  reg [63:0] nvid_q;
  reg [47:0] consumed_q, source_q, peers_q;
  reg [31:0] beacon_q, retry_q;
  // The mailbox: some octets of a frame, its last ones if `mail_last_q`; taken in when `mail_q` turns over.
  reg [8*OCTETS-1:0] octets_q;
  reg [7:0] length_q;
  reg mail_last_q, mail_q;
  reg sync_q, tally_q;  // turn over: take what is for what was; read the counters

  // The MAC's queue of words {last, octets, data}.
  reg [68:0] words[0:WORDS-1];
  reg [11:0] written_q, read_q;
  reg [8*OCTETS-1:0] octets;
  reg [7:0] left;
  always @(mail_q) begin
    octets = octets_q;
    left   = length_q;
    while (left > 8'd8) begin
      words[written_q] = {1'b0, 4'd8, octets[63:0]};
      written_q        = written_q + 12'd1;
      octets           = octets >> 64;
      left             = left - 8'd8;
    end
    words[written_q] = {mail_last_q, left[3:0], octets[63:0]};
    written_q        = written_q + 12'd1;
  end

  wire lost = reset_q || crash_q;
  wire feeds = read_q != written_q && !lost;
  reg [68:0] last_word_q;  // stands until there is another one
  wire [68:0] word = feeds ? words[read_q] : last_word_q;
  wire in_tready;

  wire [63:0] out_tdata;
  wire [7:0] out_tkeep;
  wire out_tvalid, out_tlast;
  wire offer_ready, cancel_ready, consume_ready, format_ready;
  wire refused, committed, reversed, alarm;
  wire [200:0] inbox;
  wire [  2:0] state;
  wire [  4:0] bits;
  wire         fires;
  wire [  6:0] row;
  wire [31:0] bad_epoch, missed, of_length, of_fcs, of_ethertype, of_version, of_crc, of_type, of_padding,
              of_payload_length;
  wire [691:0] register;

  blp_link_top #(
      .WRITE_CYCLES(WRITE_CYCLES),
      .RX_DEPTH    (RX_DEPTH)
  ) link (
      .clk_i                     (clk_i),
      .rst_i                     (reset_q),
      .crash_i                   (crash_q),
      .link_i                    (link_q),
      .tick_i                    (1'b1),
      .cfg_beacon_i              (beacon_q),
      .cfg_retry_i               (retry_q),
      .cfg_da_i                  (peers_q),
      .cfg_sa_i                  (source_q),
      .s_axis_tdata              (word[63:0]),
      .s_axis_tkeep              (~(8'hFF << word[67:64])),
      .s_axis_tvalid             (feeds),
      .s_axis_tready             (in_tready),
      .s_axis_tlast              (word[68]),
      .s_axis_tuser              (1'b0),
      .m_axis_tdata              (out_tdata),
      .m_axis_tkeep              (out_tkeep),
      .m_axis_tvalid             (out_tvalid),
      .m_axis_tready             (1'b1),
      .m_axis_tlast              (out_tlast),
      .m_axis_tuser              (),
      .app_offer_valid_i         (pending_q[0]),
      .app_offer_ready_o         (offer_ready),
      .app_offer_slot_i          (offer_q),
      .app_cancel_valid_i        (pending_q[1]),
      .app_cancel_ready_o        (cancel_ready),
      .app_consume_valid_i       (pending_q[2]),
      .app_consume_ready_o       (consume_ready),
      .app_consume_round_i       (consumed_q),
      .app_answer_i              (answered_q ? answer_q : 2'd3),
      .app_give_slot_i           (give_q),
      .tell_refused_o            (refused),
      .tell_committed_o          (committed),
      .tell_reversed_o           (reversed),
      .tell_alarm_o              (alarm),
      .tell_slot_o               (),
      .inbox_o                   (inbox),
      .inbox_round_o             (),
      .format_valid_i            (pending_q[3]),
      .format_ready_o            (format_ready),
      .format_ruled_i            (ruled_q),
      .format_nvid_i             (nvid_q),
      .state_o                   (state),
      .volatile_o                (bits),
      .stat_valid_o              (fires),
      .stat_row_o                (row),
      .stat_read_row_i           (7'd0),
      .stat_read_drop_i          (4'd0),
      .stat_rows_o               (),
      .stat_drops_o              (),
      .stat_bad_epoch_o          (bad_epoch),
      .stat_missed_o             (missed),
      .stat_frames_sent_o        (),
      .stat_frames_accepted_o    (),
      .stat_drop_length_o        (of_length),
      .stat_drop_fcs_o           (of_fcs),
      .stat_drop_ethertype_o     (of_ethertype),
      .stat_drop_version_o       (of_version),
      .stat_drop_crc_o           (of_crc),
      .stat_drop_type_o          (of_type),
      .stat_drop_padding_o       (of_padding),
      .stat_drop_payload_length_o(of_payload_length),
      .tear_i                    (tear_q),
      .tear_sel_i                (tear_sel_q),
      .register_o                (register)
  );

  // What it was when it was looked at last.
  reg [4:0] bits_q;
  reg [2:0] state_q;
  reg ready_q, changed_q;
  always @(register) changed_q = 1'b1;

  // What is told.
  reg [11:0] what_q;
  reg [6:0] row_q, write_row_q, last_row_q, before_row_q;
  reg [4:0] bits_told_q;
  reg [63:0] write_from_q;
  reg began_q;
  reg [8*OCTETS-1:0] frame_q, sending_q;
  reg [15:0] sent_q, sending_length_q;
  integer at;
  wire [53:0] told = {sent_q, before_row_q, write_row_q, row_q, bits_told_q, what_q};

  wire ready = state == IS_READY && !bits[0] && !inbox[200];
  wire asks = fires && ASKS[row] && !answered_q;
  wire stirs = fires || out_tvalid || changed_q || bits != bits_q || state != state_q || ready != ready_q || refused ||
       committed || reversed || alarm;
  assign asks_o   = what_q[ASKED];
  assign tells_o  = what_q != 12'd0;
  assign began_o  = began_q;

  always @(look_i)
    if (looks_i) begin
      what_q = 12'd0;
      if (stirs) begin
        if (asks) what_q[ASKED] = 1'b1;
        else begin
          what_q[WRITTEN]   = changed_q;
          what_q[SETTLED]   = state_q == IS_WRITING && state != IS_WRITING;
          what_q[HEARD]     = bits[3] && !bits_q[3];
          what_q[FENCED]    = bits[1] && !bits_q[1];
          what_q[READY]     = ready && !ready_q;
          what_q[REFUSED]   = refused;
          what_q[COMMITTED] = committed;
          what_q[REVERSED]  = reversed;
          what_q[ALARM]     = alarm;
          what_q[GRANTED]   = fires && OFFERS[row] && pending_q[0] && offer_ready;
          before_row_q      = last_row_q;
          bits_q            = bits;
          state_q           = state;
          ready_q           = ready;
          changed_q         = 1'b0;
          if (fires) begin
            last_row_q = row;
            if (WRITES[row]) begin
              write_row_q  = row;
              write_from_q = cycle_i + 64'd1;
              began_q      = 1'b1;
            end
          end
          if (out_tvalid) begin
            if (sending_length_q < OCTETS) sending_q[8*sending_length_q+:64] = out_tdata;
            for (at = 0; at < 8; at = at + 1) sending_length_q = sending_length_q + {15'd0, out_tkeep[at]};
            if (out_tlast) begin
              what_q[SENT]     = 1'b1;
              frame_q          = sending_q;
              sent_q           = sending_length_q;
              sending_length_q = 16'd0;
            end
          end
        end
        row_q        = row;
        bits_told_q  = bits;
      end
      if (lost) sending_length_q = 16'd0;
    end

  always @(sync_q) begin
    bits_q    = bits;
    state_q   = state;
    ready_q   = 1'b0;
    changed_q = 1'b0;
    what_q    = 12'd0;
  end

  // Whether it may stand still.
  reg [15:0] quiet_q;
  assign drowsy_o = quiet_q != 16'd0 && quiet_q % SETTLES == 16'd0;

  always @(posedge clk_i) begin
    quiet_q    <= stirs || read_q != written_q ? 16'd0 : quiet_q + 16'd1;
    answered_q <= 1'b0;
    pending_q  <= pending_q & ~{format_ready, consume_ready, cancel_ready, offer_ready};
    last_word_q <= word;
    if (lost) read_q <= written_q;
    else if (feeds && in_tready) read_q <= read_q + 12'd1;
  end

  always @(posedge waves_i) $dumpvars(0, link);

  // Counters: the rows', the reasons' to drop, then the others.
  reg [32*154-1:0] counters_q;
  always @(tally_q) begin
    for (at = 0; at < 128; at = at + 1)
      counters_q[32*at+:32] = link.u_rows.counted_q[at] ? link.u_rows.counts[at] : 32'd0;
    for (at = 0; at < 16; at = at + 1)
      counters_q[4096+32*at+:32] = link.u_drops.counted_q[at] ? link.u_drops.counts[at] : 32'd0;
    counters_q[4608+:320] = {
      of_payload_length, of_padding, of_type, of_crc, of_version, of_ethertype, of_fcs, of_length, missed, bad_epoch
    };
  end

  initial begin
    reset_q          = 1'b1;
    {crash_q, tear_sel_q, link_q, ruled_q, answered_q, answer_q, pending_q} = 11'd0;
    {tear_q, offer_q, give_q, nvid_q, consumed_q, source_q, peers_q} = 1302'd0;
    {beacon_q, retry_q} = 64'd0;
    {octets_q, length_q, mail_last_q, mail_q, sync_q, tally_q} = 1036'd0;
    {written_q, read_q, last_word_q} = 93'd0;
    {bits_q, state_q, ready_q, changed_q, what_q} = 22'd0;
    {row_q, write_row_q, last_row_q, before_row_q, bits_told_q, write_from_q, began_q} = 98'd0;
    {frame_q, sending_q, sent_q, sending_length_q, quiet_q} = 2096'd0;
  end

endmodule

`resetall
