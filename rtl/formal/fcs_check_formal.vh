// Proof, inside fcs_check: it keeps the rules of a stream, whatever the CRC is (crc32.free.v), and never stalls its
// input while its output is taken.

reg f_began;
initial f_began = 1'b0;
always @(posedge clk_i) begin
  f_began <= 1'b1;
  if (!f_began) assume (rst_i);
end

axis_rules #(
    .DATA_W(DATA_W),
    .GIVEN (1)
) f_input (
    .clk_i   (clk_i),
    .rst_i   (rst_i || !f_began),
    .tdata_i (s_axis_tdata),
    .tkeep_i (s_axis_tkeep),
    .tvalid_i(s_axis_tvalid && f_began),
    .tready_i(s_axis_tready),
    .tlast_i (s_axis_tlast),
    .tuser_i (s_axis_tuser)
);

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

always @(posedge clk_i) begin
  if (f_began) begin
    // What is promised.
    assert (s_axis_tready || !m_axis_tready);

    // What makes the induction close.
    assert (held_q <= FULL);
    if (final_q) assert (full && final_keep_q[0] && (final_keep_q & (final_keep_q + 1'b1)) == 0);
    if (valid_q) assert (keep_q[0] && (keep_q & (keep_q + 1'b1)) == 0 && (last_q || &keep_q));

    cover (sent && m_axis_tlast && !m_axis_tuser && valid_q);
    cover (judged && runt);
  end
end
