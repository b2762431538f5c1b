// Proof, inside blp_framer: it keeps the rules of a stream, every frame has its WORDS words, and a frame follows the
// one before without a bubble if its snapshot is offered in time.

reg f_began;
initial f_began = 1'b0;
always @(posedge clk_i) begin
  f_began <= 1'b1;
  if (!f_began) assume (rst_i);
end

axis_rules #(
    .DATA_W(DATA_W),
    .GIVEN (0)
) f_output (
    .clk_i   (clk_i),
    .rst_i   (rst_i || !f_began),
    .tdata_i (m_axis_tdata),
    .tkeep_i (m_axis_tkeep),
    .tvalid_i(m_axis_tvalid && f_began),
    .tready_i(m_axis_tready),
    .tlast_i (m_axis_tlast),
    .tuser_i (m_axis_tuser)
);

reg [6:0] f_sent;  // words of the frame under way that were taken
wire f_taken = m_axis_tvalid && m_axis_tready;
reg f_in_time;  // a snapshot has been offered in every cycle since an earlier one was under way
always @(posedge clk_i) begin
  f_in_time <= !rst_i && snap_valid_i && (f_in_time || busy_q);
  if (rst_i) f_sent <= 7'd0;
  else if (f_taken) f_sent <= m_axis_tlast ? 7'd0 : f_sent + 7'd1;

  if (f_began) begin
    // What is promised.
    if (m_axis_tvalid) assert (m_axis_tlast == (f_sent == LAST[6:0]));
    if (f_in_time) assert (m_axis_tvalid);

    // What makes the induction close.
    assert (f_sent <= LAST[6:0] && index_q <= LAST[6:0]);
    if (valid_q) assert (index_q == (last_q ? 7'd0 : f_sent + 7'd1));
    if (!valid_q) assert (index_q == f_sent && f_sent == 7'd0);
    if (valid_q) assert (last_q == (f_sent == LAST[6:0]));
    if (index_q != 7'd0) assert (busy_q);
    if (f_in_time) assert (busy_q);

    cover (f_taken && m_axis_tlast && busy_q);
  end
end
