// Written by scripts/generate-rtl from hwsim/bilateral/wire.py: change it there.
// An include for the inside of a module, which need not use all of it.

/* verilator lint_off UNUSEDPARAM */
localparam [3:0] BLP_VERSION = 4'd1;
localparam [15:0] BLP_ETHERTYPE = 16'h88B5;
localparam BLP_FRAME_OCTETS = 82;
localparam BLP_FCS_OCTETS = 4;
localparam BLP_PAYLOAD_OCTETS = 24;
// The octets that the CRC-32C covers: from the first to before the end.
localparam BLP_COVERED_FIRST = 14;
localparam BLP_COVERED_END = 74;
// Types.
localparam [3:0] BLP_TYPE_RETURNED = 4'd1;
localparam [3:0] BLP_TYPE_TAKEN = 4'd2;
localparam [3:0] BLP_TYPE_OFFER = 4'd3;
localparam [3:0] BLP_TYPE_HELLO = 4'd4;
localparam [3:0] BLP_TYPE_FENCE = 4'd5;
localparam [3:0] BLP_TYPE_FIRST = 4'd1;
localparam [3:0] BLP_TYPE_LAST = 4'd5;
// Where each field lies: first octet, width in bits.
localparam BLP_DA_AT = 0;
localparam BLP_DA_W = 48;
localparam BLP_SA_AT = 6;
localparam BLP_SA_W = 48;
localparam BLP_ETHERTYPE_AT = 12;
localparam BLP_ETHERTYPE_W = 16;
localparam BLP_VERSION_AT = 14;
localparam BLP_VERSION_W = 4;
localparam BLP_TYPE_AT = 14;
localparam BLP_TYPE_W = 4;
localparam BLP_SLOT_AT = 15;
localparam BLP_SLOT_W = 1;
localparam BLP_CANCEL_REQ_AT = 15;
localparam BLP_CANCEL_REQ_W = 1;
localparam BLP_CREDIT_AT = 15;
localparam BLP_CREDIT_W = 1;
localparam BLP_HEARD_AT = 15;
localparam BLP_HEARD_W = 1;
localparam BLP_RESERVED_AT = 15;
localparam BLP_RESERVED_W = 4;
localparam BLP_ROUND_AT = 16;
localparam BLP_ROUND_W = 16;
localparam BLP_EPOCH_AT = 18;
localparam BLP_EPOCH_W = 32;
localparam BLP_ECHO_AT = 22;
localparam BLP_ECHO_W = 64;
localparam BLP_SRC_AT = 30;
localparam BLP_SRC_W = 64;
localparam BLP_DST_AT = 38;
localparam BLP_DST_W = 64;
localparam BLP_PAYLOAD_AT = 46;
localparam BLP_PAYLOAD_W = 192;
localparam BLP_LENGTH_AT = 70;
localparam BLP_LENGTH_W = 8;
localparam BLP_ZERO_AT = 71;
localparam BLP_ZERO_W = 24;
localparam BLP_CRC_AT = 74;
localparam BLP_CRC_W = 32;
localparam BLP_FCS_AT = 78;
localparam BLP_FCS_W = 32;
/* verilator lint_on UNUSEDPARAM */
