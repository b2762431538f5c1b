// Proof, inside fcs_insert: it keeps the rules of a stream; no octet is lost or made up, whatever the CRC is
// (crc32.free.v); four octets join each frame; and it stalls its input no longer than these four octets take.

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

function [3:0] f_octets_in(input [KEEP_W-1:0] keep);
  integer f_octet;
  begin
    f_octets_in = 4'd0;
    for (f_octet = 0; f_octet < KEEP_W; f_octet = f_octet + 1) f_octets_in = f_octets_in + {3'd0, keep[f_octet]};
  end
endfunction

// Octets and ends of frames that have come in, with four octets for each end, and have not gone out.
reg [4:0] f_octets;
reg [1:0] f_ends;
reg [2:0] f_stalled;  // cycles in a row in which the output was taken and the input was not
wire [4:0] f_octets_d = f_octets + (taken ? f_octets_in(s_axis_tkeep) + (s_axis_tlast ? 5'd4 : 5'd0) : 5'd0)
    - (sent ? f_octets_in(m_axis_tkeep) : 5'd0);
wire [1:0] f_ends_d = f_ends + (taken && s_axis_tlast) - (sent && m_axis_tlast);

always @(posedge clk_i) begin
  f_octets <= rst_i ? 5'd0 : f_octets_d;
  f_ends   <= rst_i ? 2'd0 : f_ends_d;
  if (rst_i || s_axis_tready) f_stalled <= 3'd0;
  else if (sent) f_stalled <= f_stalled + 3'd1;

  if (f_began) begin
    // What is promised.
    assert (m_axis_tvalid == (f_octets != 5'd0));  // what is here is offered, so nothing waits without need
    assert (f_stalled <= 4 / KEEP_W + (KEEP_W > 4));
    if (m_axis_tvalid && m_axis_tlast) assert (f_ends != 2'd0);

    // What makes the induction close: what is here is in these registers.
    assert (f_octets == (valid_q ? f_octets_in(keep_q) + (last_q ? 5'd4 : 5'd0) : 5'd0) + {2'd0, rest_octets_q});
    assert (f_ends == (valid_q && last_q) + in_rest);
    assert (rest_octets_q <= 3'd4);
    if (valid_q) assert (keep_q[0] && (keep_q & (keep_q + 1'b1)) == 0 && (last_q || &keep_q));
    if (in_rest) assert (f_stalled + (rest_octets_q + KEEP_W - 1) / KEEP_W <= 4 / KEEP_W + (KEEP_W > 4));

    cover (sent && m_axis_tlast && in_rest && valid_q);
  end
end
