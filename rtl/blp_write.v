// Made from the transition table by `python -m hwsim.bilateral.verilog rtl`: do not edit.
`resetall
`timescale 1ns / 1ps
`default_nettype none

// A slot is {valid, length, payload}; an empty one is all zeros.
module blp_write #(
    parameter NVID_W = 64,
    parameter ROUND_W = 16,
    parameter EPOCH_W = 64,
    parameter SLOT_W = 198
) (
    input  wire [3:0] write_i,
    input  wire [NVID_W-1:0] nvid_i,
    input  wire [NVID_W-1:0] peer_i,
    input  wire [ROUND_W-1:0] round_i,
    input  wire [1:0] phase_i,
    input  wire [SLOT_W-1:0] slot_i,
    input  wire [EPOCH_W-1:0] epoch_i,
    input  wire [SLOT_W-1:0] inbox_i,
    input  wire [ROUND_W-1:0] inbox_round_i,
    input  wire [SLOT_W-1:0] frame_i,   // the received frame's payload
    input  wire [SLOT_W-1:0] app_i,     // what the application gives
    input  wire [NVID_W-1:0] sender_i,  // the received frame's source
    input  wire [NVID_W-1:0] fresh_i,   // a new identity
    output reg  [NVID_W-1:0] nvid_o,
    output reg  [NVID_W-1:0] peer_o,
    output reg  [ROUND_W-1:0] round_o,
    output reg  [1:0] phase_o,
    output reg  [SLOT_W-1:0] slot_o,
    output reg  [EPOCH_W-1:0] epoch_o,
    output reg  [SLOT_W-1:0] inbox_o,
    output reg  [ROUND_W-1:0] inbox_round_o
);

`include "blp_table.vh"

  always @* begin
    nvid_o = nvid_i;
    peer_o = peer_i;
    round_o = round_i;
    phase_o = phase_i;
    slot_o = slot_i;
    epoch_o = epoch_i;
    inbox_o = inbox_i;
    inbox_round_o = inbox_round_i;
    case (write_i)
      WRITE_PAIR: begin
        peer_o = sender_i;
      end
      WRITE_OFFER: begin
        phase_o = PHASE_OFFER;
        slot_o = app_i;
      end
      WRITE_ACCEPT: begin
        round_o = round_i + 1'b1;
        phase_o = PHASE_TAKEN;
        epoch_o = epoch_i + 1'b1;
        slot_o = {SLOT_W{1'b0}};
        inbox_o = frame_i;
        inbox_round_o = round_i;
      end
      WRITE_ACCEPT_GIVE: begin
        round_o = round_i + 1'b1;
        phase_o = PHASE_TAKEN;
        epoch_o = epoch_i + 1'b1;
        slot_o = app_i;
        inbox_o = frame_i;
        inbox_round_o = round_i;
      end
      WRITE_REJECT: begin
        round_o = round_i + 1'b1;
        phase_o = PHASE_RETURNED;
        slot_o = {SLOT_W{1'b0}};
      end
      WRITE_CROSS: begin
        round_o = round_i + 1'b1;
        phase_o = PHASE_TAKEN;
        epoch_o = epoch_i + 1'b1;
        inbox_o = frame_i;
        inbox_round_o = round_i;
      end
      WRITE_CONFIRM_TAKEN: begin
        round_o = round_i + 1'b1;
        phase_o = PHASE_TAKEN;
        epoch_o = epoch_i + 1'b1;
        slot_o = {SLOT_W{1'b0}};
        inbox_o = frame_i;
        inbox_round_o = round_i;
      end
      WRITE_CONFIRM_RETURNED: begin
        round_o = round_i + 1'b1;
        phase_o = PHASE_RETURNED;
        slot_o = {SLOT_W{1'b0}};
      end
      WRITE_CONSUME: begin
        inbox_o = {SLOT_W{1'b0}};
      end
      WRITE_FORMAT: begin
        nvid_o = fresh_i;
        peer_o = {NVID_W{1'b0}};
        round_o = {ROUND_W{1'b0}};
        phase_o = PHASE_RETURNED;
        slot_o = {SLOT_W{1'b0}};
        epoch_o = {EPOCH_W{1'b0}};
        inbox_o = {SLOT_W{1'b0}};
        inbox_round_o = {ROUND_W{1'b0}};
      end
      default: ;
    endcase
  end

endmodule

`resetall
