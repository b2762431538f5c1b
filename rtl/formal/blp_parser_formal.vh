// Proof, inside blp_parser: a frame is accepted if and only if it keeps every rule, the fields are what lay in it, and
// each frame is counted once.  Whether its CRC-32C matches is left open (blp_crc32c.free.v): both cases are covered.
//
// The frame is recorded here a second time, as a plain list of its words, and judged by the document's rules.

reg f_began;
initial f_began = 1'b0;
always @(posedge clk_i) begin
  f_began <= 1'b1;
  if (!f_began) assume (rst_i);
`ifdef F_ONE_FRAME
  // To refute a broken parser soon: frames of the right length, one behind the other, from reset.
  if (f_began) assume (!rst_i && s_axis_tvalid && s_axis_tlast == (index_q == LAST[6:0]));
`endif
end

axis_rules #(
    .DATA_W(DATA_W),
    .GIVEN (1)
) f_input (
    .clk_i   (clk_i),
    .rst_i   (rst_i),
    .tdata_i (s_axis_tdata),
    .tkeep_i (s_axis_tkeep),
    .tvalid_i(s_axis_tvalid),
    .tready_i(s_axis_tready),
    .tlast_i (s_axis_tlast),
    .tuser_i (s_axis_tuser)
);

// The frame under way: its first WORDS words, how many have come, whether one of them was the last.
reg [WORDS*DATA_W-1:0] f_words;
reg [6:0] f_count;
reg [KEEP_W-1:0] f_keep;
reg f_spoilt, f_ended;

always @(posedge clk_i) begin
  f_ended <= taken && s_axis_tlast && !rst_i;
  if (taken) begin
    if (f_count < WORDS) f_words[f_count*DATA_W+:DATA_W] <= s_axis_tdata;
    f_count  <= s_axis_tlast ? 7'd0 : f_count > LAST[6:0] ? f_count : f_count + 7'd1;
    f_keep   <= s_axis_tkeep;
    f_spoilt <= s_axis_tuser;
  end
  if (rst_i) f_count <= 7'd0;
end

reg f_long;  // the ended frame had not just WORDS words
always @(posedge clk_i) if (taken) f_long <= f_count != LAST[6:0];

// The rules, on the recorded words.
wire [8*OCTETS-1:0] f_octets;
genvar f_i;
generate
  for (f_i = 0; f_i < OCTETS; f_i = f_i + 1) begin : g_f_octet
    assign f_octets[8*(OCTETS-1-f_i)+:8] = f_words[8*f_i+:8];
  end
endgenerate

wire [15:0] f_ethertype = f_octets[8*(OCTETS-BLP_ETHERTYPE_AT)-1-:16];
wire [7:0] f_head = f_octets[8*(OCTETS-BLP_VERSION_AT)-1-:8];
wire [7:0] f_flags = f_octets[8*(OCTETS-BLP_SLOT_AT)-1-:8];
wire [191:0] f_payload = f_octets[8*(OCTETS-BLP_PAYLOAD_AT)-1-:192];
wire [7:0] f_length = f_octets[8*(OCTETS-BLP_LENGTH_AT)-1-:8];
wire [23:0] f_zero = f_octets[8*(OCTETS-BLP_ZERO_AT)-1-:24];
wire [31:0] f_crc = f_octets[8*(OCTETS-BLP_CRC_AT)-1-:32];
wire [7:0] f_counted = f_flags[7] ? f_length : 8'd0;
wire f_keeps_the_rules = !f_long && f_keep == LAST_KEEP && !f_spoilt && f_ethertype == 16'h88B5 &&
    f_head[7:4] == 4'd1 && f_crc == crc && f_head[3:0] >= 4'd1 && f_head[3:0] <= 4'd5 && f_flags[3:0] == 4'd0 &&
    f_zero == 24'd0 && (f_flags[7] || f_length == 8'd0) && f_counted <= 8'd24 &&
    (f_counted >= 8'd24 || (f_payload << (8 * f_counted)) == 192'd0);

reg f_should, f_matters;
reg [8*OCTETS-1:0] f_judged;
initial f_matters = 1'b0;
always @(posedge clk_i) begin
  f_matters <= f_ended && !rst_i;
  f_should  <= f_keeps_the_rules;
  f_judged  <= f_octets;
end

always @(posedge clk_i) begin
  if (f_began) begin
    // What is promised.
    assert (frame_valid_o == (f_matters && f_should));
    if (frame_valid_o) begin
      assert (type_o == f_judged[8*(OCTETS-BLP_TYPE_AT)-5-:4]);
      assert ({slot_o, cancel_req_o, credit_o, heard_o} == f_judged[8*(OCTETS-BLP_SLOT_AT)-1-:4]);
      assert (round_o == f_judged[8*(OCTETS-BLP_ROUND_AT)-1-:16]);
      assert (epoch_o == f_judged[8*(OCTETS-BLP_EPOCH_AT)-1-:32]);
      assert (slice0_o == f_judged[8*(OCTETS-BLP_VERSION_AT)-1-:64]);
      assert (echo_o == f_judged[8*(OCTETS-BLP_ECHO_AT)-1-:64]);
      assert (src_o == f_judged[8*(OCTETS-BLP_SRC_AT)-1-:64]);
      assert (dst_o == f_judged[8*(OCTETS-BLP_DST_AT)-1-:64]);
      assert (payload_o == f_judged[8*(OCTETS-BLP_PAYLOAD_AT)-1-:192]);
      assert (length_o == f_judged[8*(OCTETS-BLP_LENGTH_AT)-1-:8]);
    end
    assert ((counted & (counted - 9'd1)) == 9'd0 && (counted != 9'd0) == judge_q);

    // What makes the induction close: the parser's record and this one agree.
    assert (index_q == f_count && f_count <= WORDS);
    assert (judge_q == f_ended);
    if (judge_q) assert (index_q == 7'd0 && bad_length_q == (f_long || f_keep != LAST_KEEP) && bad_fcs_q == f_spoilt);

    cover (frame_valid_o && slot_o && length_o == 8'd24);
    cover (frame_valid_o && !slot_o);
    cover (counted[7]);  // dropped for the last of the reasons
  end
end

// Each octet that the parser keeps is that of the record, once its word has come, until the next frame writes it.
generate
  for (f_i = 0; f_i < KEPT; f_i = f_i + 1) begin : g_f_kept
    localparam F_WORD = (BLP_ETHERTYPE_AT + f_i) / KEEP_W;
    always @(posedge clk_i) begin
      if (f_began && (index_q > F_WORD || (judge_q && !bad_length_q)))
        assert (kept[8*(KEPT-1-f_i)+:8] == f_words[8*(BLP_ETHERTYPE_AT+f_i)+:8]);
      // A cycle later the next frame has one word at most, which is all address.
      if (f_began && f_matters && f_should) assert (kept[8*(KEPT-1-f_i)+:8] == f_judged[8*(KEPT-1-f_i)+:8]);
    end
  end
endgenerate
