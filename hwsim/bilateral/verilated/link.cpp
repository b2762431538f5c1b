// One end of a link in Verilog behind a few C functions, for hwsim/bilateral/verilated/optimistic.py.
//
// A cycle n lasts from n periods to n + 1.  Inputs stand from its beginning, what is told belongs to it, and the rising
// edge at its end leads into the next one.  `hw_run` goes on until something happens that somebody above must know
// of, or until a cycle is reached.  `hw_save` marks a place, and `hw_restore` goes back to it: so whoever lets the
// Verilog run ahead of others can still be reached by what they do.
//
// The MAC is store and forward: a received frame is fed a word a cycle once it is whole, a sent one is given away with
// its last word.  It keeps what comes in faster than the Verilog takes it.
//
// Quiet spans are skipped exactly.  Where a cycle has changed nothing but the timer's count and what is left of a
// write, all further ones will do the same until a count reaches its end; so the counts are moved on, to one before it.
// What a write takes is no parameter here: the Verilog is built with the longest, and each write's count is set
// as it is loaded.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "Vlink.h"
#include "Vlink___024root.h"
#include "verilated.h"
#include "verilated_save.h"
#ifdef WAVES
#include "verilated_vcd_c.h"
#endif

namespace {

constexpr int REGISTER_WORDS = 22, SLOT_WORDS = 7, ROWS = 128, DROPS = 16, FRAME_OCTETS = 128;
constexpr uint32_t LONGEST_WRITE = 2147483646;  // as the Verilog is built
constexpr uint32_t SETTLES = 16;                // cycles without an event until a span may be quiet
// What a row is: it writes, its offer waits for the application's answer, it is the application's offer.
enum : uint8_t { WRITES = 1, ASKS = 2, OFFERS = 4 };
// What may have happened.
enum : uint32_t { ASKED = 1, WRITTEN = 2, SETTLED = 4, HEARD = 8, FENCED = 16, READY = 32, SENT = 64, GRANTED = 128,
                  REFUSED = 256, COMMITTED = 512, REVERSED = 1024, ALARM = 2048 };
enum : uint32_t { QUIETLY = 1, DRAWN = 2 };  // stop for nothing; write waves
constexpr uint8_t WRITING = 0, IS_READY = 5, ANSWER_BUSY = 3;

class Saving final : public VerilatedSerialize {
public:
    void flush() override {}
    void clear() { m_cp = m_bufp; }
    const uint8_t* data() const { return m_bufp; }
    size_t size() const { return m_cp - m_bufp; }
};

class Restoring final : public VerilatedDeserialize {
    const std::vector<uint8_t>* m_from = nullptr;

public:
    void fill() override {}
    void from(const std::vector<uint8_t>& octets) {
        std::memcpy(m_bufp, octets.data(), octets.size());
        m_cp = m_bufp;
        m_endp = m_bufp + bufferSize();
    }
};

// One of each, for all ends: a simulation has one thread.
Saving saving;
Restoring restoring;

}  // namespace

extern "C" {

struct Inputs {  // as optimistic.py's Inputs
    uint32_t tear[REGISTER_WORDS];
    uint32_t offer[SLOT_WORDS];
    uint32_t give[SLOT_WORDS];
    uint64_t format_nvid, consume_round;
    uint8_t reset, crash, tear_sel, link;
    uint8_t offering, cancelling, consuming, formatting;
    uint8_t ruled, answer, answered, unused;
};

struct Outputs {  // as optimistic.py's Outputs
    uint64_t cycle;       // in which it happened
    uint64_t write_from;  // the cycle from which a write is under way; 0: none is
    uint64_t run, skipped;  // cycles executed, also those that were gone back on; cycles skipped
    uint32_t what, row, write_row, before_row, state, bits, length;
    uint32_t reg[REGISTER_WORDS];
    uint32_t slot[SLOT_WORDS];  // of the frame that asks
    uint8_t frame[FRAME_OCTETS];
};
}

namespace {

// What is the harness's own, and goes back with the Verilog.
struct Place {
    Inputs in;
    uint64_t cycle, write_from;
    uint32_t write_row, last_row, quiet, sent;
    uint32_t reg[REGISTER_WORDS];
    uint8_t bits, state, ready;
    uint8_t frame[FRAME_OCTETS];
    size_t fed;  // octets of the foremost frame
};

struct End {
    VerilatedContext context;
    Vlink top{&context, "link"};
    uint8_t flags[ROWS];
    uint32_t write_cycles;
    uint64_t period_ps;
    bool skips;
    Outputs out{};
    Place at{}, at_mark{};
    std::vector<std::vector<uint8_t>> frames, frames_at_mark;
    std::vector<uint8_t> model_at_mark, before;
#ifdef WAVES
    VerilatedVcdC* waves = nullptr;
#endif

    uint32_t& left() { return top.rootp->blp_link_top__DOT__u_nvreg__DOT__left_q; }
    uint32_t& count() { return top.rootp->blp_link_top__DOT__u_timer__DOT__count_q; }

    void save(std::vector<uint8_t>& into) {
        saving.clear();
        saving << top;
        into.assign(saving.data(), saving.data() + saving.size());
    }

    // The Verilog but for its counts.
    void save_still(std::vector<uint8_t>& into) {
        const uint32_t l = left(), c = count();
        left() = count() = 0;
        save(into);
        left() = l;
        count() = c;
    }

    bool is_still() {
        const uint32_t l = left(), c = count();
        left() = count() = 0;
        saving.clear();
        saving << top;
        left() = l;
        count() = c;
        return saving.size() == before.size() && std::memcmp(saving.data(), before.data(), before.size()) == 0;
    }

    void drive() {
        const Inputs& in = at.in;
        top.rst_i = in.reset;
        top.crash_i = in.crash;
        top.link_i = in.link;
        top.tear_sel_i = in.tear_sel;
        for (int i = 0; i < REGISTER_WORDS; i++) top.tear_i[i] = in.tear[i];
        for (int i = 0; i < SLOT_WORDS; i++) top.app_offer_slot_i[i] = in.offer[i];
        for (int i = 0; i < SLOT_WORDS; i++) top.app_give_slot_i[i] = in.give[i];
        top.app_offer_valid_i = in.offering;
        top.app_cancel_valid_i = in.cancelling;
        top.app_consume_valid_i = in.consuming;
        top.app_consume_round_i = in.consume_round;
        top.format_valid_i = in.formatting;
        top.format_nvid_i = in.format_nvid;
        top.format_ruled_i = in.ruled;
        top.app_answer_i = in.answered ? in.answer : ANSWER_BUSY;
        if (in.reset || in.crash) {  // the MAC's too
            frames.clear();
            at.fed = at.sent = 0;
        }
        top.s_axis_tvalid = !frames.empty();
        if (frames.empty()) return;
        const std::vector<uint8_t>& frame = frames.front();
        const size_t octets = frame.size() - at.fed < 8 ? frame.size() - at.fed : 8;
        uint64_t word = 0;
        std::memcpy(&word, &frame[at.fed], octets);
        top.s_axis_tdata = word;
        top.s_axis_tkeep = octets == 8 ? 0xFF : (1 << octets) - 1;
        top.s_axis_tlast = at.fed + octets == frame.size();
    }

    void draw(uint64_t time_ps) {
#ifdef WAVES
        if (waves) waves->dump(time_ps);
#endif
    }

    // The present cycle's end: the rising edge, and what the harness keeps of it.
    void step(bool drawn) {
        if (drawn) draw(at.cycle * period_ps + period_ps / 2);
        Inputs& in = at.in;
        if (top.app_offer_ready_o) in.offering = 0;
        if (top.app_cancel_ready_o) in.cancelling = 0;
        if (top.app_consume_ready_o) in.consuming = 0;
        if (top.format_ready_o) in.formatting = 0;
        in.answered = 0;
        const bool feeds = top.s_axis_tvalid && top.s_axis_tready;
        top.clk_i = 1;
        top.eval();
        if (left() == LONGEST_WRITE) left() = write_cycles;
        at.cycle++;
        if (drawn) draw(at.cycle * period_ps);
        if (feeds) {
            at.fed += 8;
            if (at.fed >= frames.front().size()) {
                frames.erase(frames.begin());
                at.fed = 0;
            }
        }
        out.run++;
    }

    void tell(uint32_t what) {
        out.what = what;
        out.cycle = at.cycle;
        out.state = top.state_o;
        out.bits = top.volatile_o;
        out.row = top.stat_row_o;
        out.write_row = at.write_row;
        out.write_from = at.write_from;
        std::memcpy(out.reg, at.reg, sizeof at.reg);
        for (int i = 0; i < SLOT_WORDS; i++) out.slot[i] = top.rootp->blp_link_top__DOT__rx_slot[i];
    }

    // What happens in this cycle.
    uint32_t see() {
        uint32_t what = 0;
        for (int i = 0; i < REGISTER_WORDS; i++) {
            if (at.reg[i] != top.register_o[i]) {
                at.reg[i] = top.register_o[i];
                what = WRITTEN;
            }
        }
        const uint8_t bits = top.volatile_o, state = top.state_o;
        if (at.state == WRITING && state != WRITING) what |= SETTLED;
        if (bits & ~at.bits & 8) what |= HEARD;
        if (bits & ~at.bits & 2) what |= FENCED;
        const uint8_t ready = state == IS_READY && !(bits & 1) && !(top.inbox_o[6] >> 8 & 1);
        if (ready && !at.ready) what |= READY;
        out.before_row = at.last_row;
        at.bits = bits;
        at.state = state;
        at.ready = ready;
        if (top.tell_refused_o) what |= REFUSED;
        if (top.tell_committed_o) what |= COMMITTED;
        if (top.tell_reversed_o) what |= REVERSED;
        if (top.tell_alarm_o) what |= ALARM;
        if (top.stat_valid_o) {
            at.quiet = 0;
            at.last_row = top.stat_row_o;
            const uint8_t is = flags[top.stat_row_o];
            if (is & WRITES) {
                at.write_row = top.stat_row_o;
                at.write_from = at.cycle + 1;
            }
            if (is & OFFERS && top.app_offer_valid_i && top.app_offer_ready_o) what |= GRANTED;
        }
        if (top.m_axis_tvalid) {
            at.quiet = 0;
            if (at.sent + 8 <= FRAME_OCTETS) std::memcpy(at.frame + at.sent, &top.m_axis_tdata, 8);
            at.sent += __builtin_popcount(top.m_axis_tkeep);
            if (top.m_axis_tlast) {
                out.length = at.sent;
                std::memcpy(out.frame, at.frame, FRAME_OCTETS);
                at.sent = 0;
                what |= SENT;
            }
        }
        if (what || !frames.empty()) at.quiet = 0;
        return what;
    }

    uint32_t run(uint64_t until, uint32_t how) {
        while (at.cycle < until) {
            const bool probes = skips && at.quiet >= SETTLES && at.quiet % SETTLES == 0 && at.cycle + 2 < until;
            if (probes) save_still(before);
            const uint32_t left_before = left(), count_before = count();
            drive();
            top.clk_i = 0;
            top.eval();
            if (top.stat_valid_o && flags[top.stat_row_o] & ASKS && !at.in.answered && !(how & QUIETLY)) {
                tell(ASKED);
                return ASKED;
            }
            at.quiet++;
            const uint32_t what = see();
            if (what) tell(what);
            if (what & SETTLED) at.write_from = 0;
            step(how & DRAWN);
            if (what && !(how & QUIETLY)) return what;
            if (probes && at.quiet && is_still()) skip(until, left_before, count_before);
        }
        if (!(how & QUIETLY)) tell(0);
        return 0;
    }

    void skip(uint64_t until, uint32_t left_before, uint32_t count_before) {
        uint64_t span = until - at.cycle;
        const uint32_t period = top.rootp->blp_link_top__DOT__u_timer__DOT__period;
        const bool counts = count() != count_before, writes = left() != left_before;
        if (counts) span = count() + 1 < period ? std::min<uint64_t>(span, period - 1 - count()) : 0;
        if (writes) span = left() > 1 ? std::min<uint64_t>(span, left() - 1) : 0;
        if (counts) count() += span;
        if (writes) left() -= span;
        at.cycle += span;
        out.skipped += span;
    }
};

}  // namespace

extern "C" {

End* hw_create(const uint8_t* flags, uint32_t write_cycles, uint32_t beacon, uint32_t retry, uint64_t da, uint64_t sa,
               uint64_t period_ps, int skips, const char* waves) {
    End* end = new End;
    std::memcpy(end->flags, flags, ROWS);
    end->write_cycles = write_cycles;
    end->period_ps = period_ps;
    end->skips = skips;
    Vlink& top = end->top;
    top.cfg_beacon_i = beacon;
    top.cfg_retry_i = retry;
    top.cfg_da_i = da;
    top.cfg_sa_i = sa;
    top.tick_i = 1;
    top.m_axis_tready = 1;
    top.s_axis_tuser = 0;
    end->at.in.reset = 1;
#ifdef WAVES
    if (waves) {
        end->context.traceEverOn(true);
        end->waves = new VerilatedVcdC;
        end->waves->set_time_unit("1ps");
        end->waves->set_time_resolution("1ps");
        top.trace(end->waves, 99);
        end->waves->open(waves);
    }
#endif
    return end;
}

void hw_destroy(End* end) {
#ifdef WAVES
    if (end->waves) end->waves->close();
    delete end->waves;
#endif
    Verilated::threadContextp(&end->context);  // its scopes leave the context of the thread: not that of another end
    delete end;
}

Inputs* hw_inputs(End* end) { return &end->at.in; }
Outputs* hw_outputs(End* end) { return &end->out; }
uint64_t hw_cycle(End* end) { return end->at.cycle; }

// From now on the cycles are counted anew.
void hw_begin(End* end) { end->at.cycle = 0; }

uint32_t hw_run(End* end, uint64_t until, uint32_t how) { return end->run(until, how); }

void hw_save(End* end) {
    end->save(end->model_at_mark);
    end->at_mark = end->at;
    end->frames_at_mark = end->frames;
}

void hw_restore(End* end) {
    restoring.from(end->model_at_mark);
    restoring >> end->top;
    end->at = end->at_mark;
    end->frames = end->frames_at_mark;
}

void hw_frame(End* end, const uint8_t* octets, uint32_t length) {
    end->frames.emplace_back(octets, octets + length);
    end->at.quiet = 0;
}

// To the beginning of a cycle, back if it has run ahead of that.
void hw_come(End* end, uint64_t cycle, uint32_t drawn) {
    if (drawn || end->at.cycle > cycle) hw_restore(end);
    end->run(cycle, QUIETLY | drawn);
}

// The inputs may have changed: mark this place, and run ahead, so many cycles at most.
uint32_t hw_go(End* end, uint64_t far) {
    end->at.quiet = 0;
    hw_save(end);
    return end->run(end->at.cycle + far, 0);
}

// The register as it is now, before anything happens in this cycle.
void hw_look(End* end) {
    for (int i = 0; i < REGISTER_WORDS; i++) end->at.reg[i] = end->top.register_o[i];
    end->at.bits = end->top.volatile_o;
    end->at.state = end->top.state_o;
    end->at.ready = 0;
    end->at.write_from = 0;
    end->at.sent = 0;
    end->tell(0);
}

// The Verilog's own counters: rows, reasons of the table's to drop, then epoch, missed, and the parser's eight.
void hw_counters(End* end, uint32_t* into) {
    Vlink& top = end->top;
    for (int row = 0; row < ROWS; row++) {
        top.stat_read_row_i = row;
        top.stat_read_drop_i = row % DROPS;
        top.eval();
        into[row] = top.stat_rows_o;
        into[ROWS + row % DROPS] = top.stat_drops_o;
    }
    top.stat_read_row_i = top.stat_read_drop_i = 0;
    top.eval();
    const uint32_t others[] = {top.stat_bad_epoch_o, top.stat_missed_o, top.stat_drop_length_o, top.stat_drop_fcs_o,
                               top.stat_drop_ethertype_o, top.stat_drop_version_o, top.stat_drop_crc_o,
                               top.stat_drop_type_o, top.stat_drop_padding_o, top.stat_drop_payload_length_o};
    std::memcpy(into + ROWS + DROPS, others, sizeof others);
}
}
