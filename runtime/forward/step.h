// What the threads do, laid out at load: programs of steps, each a kernel's call or several alike.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "jit/code/code_cache.h"
#include "jit/kernels/attention.h"
#include "jit/kernels/embed.h"
#include "runtime/base/deal.h"
#include "runtime/base/split.h"
#include "runtime/base/team.h"
#include "runtime/forward/exchange.h"
#include "runtime/forward/experts.h"
#include "runtime/forward/head_deal.h"
#include "runtime/forward/target.h"

namespace llamajit {

// What a step is for.
enum class Role : std::uint8_t {
  embed,
  embedding_norm,
  att_norm,
  quantize,  // of what matrices are multiplied with
  round,     // the same, to bf16
  q,
  k,
  v,
  q_down,  // latent attention's vector of queries
  q_down_norm,
  latent_norm,
  absorb,  // queries to the latent vector's space
  raise,   // heads' values out of it
  place,   // of a head's values
  q_norm,
  k_norm,
  rotate_q,
  rotate_k,
  append,
  attention,
  merge,  // of attention's parts
  att_gate,
  gate,
  delta_input,  // a delta net's queries, keys and values, before they are convolved
  delta_decay,
  delta_rate,
  convolve,
  decay,
  delta,
  delta_norm,
  att_sub_norm,
  o,
  att_post_norm,
  att_output_norm,  // of the stream
  ffn_norm,
  router_norm,  // where experts have norms of their own
  expert_norm,
  expert_post_norm,
  shared_post_norm,
  router,
  shared_router,
  route,
  gather,  // of the rows of each expert
  shared_gate_up,
  shared_down,
  mix,  // of experts' results
  gate_up,
  ffn_sub_norm,
  down,
  ffn_post_norm,
  layer_output_norm,  // of the stream
  layer_inputs,       // what all layers get from the token's embedding
  layer_input_norm,
  token_norm,  // of a layer that drafts: what it takes
  hidden_norm,
  input_projection,
  input_gate,  // what a layer makes of it
  input_down,
  input_norm,
  scale_stream,
  v_norm,
  final_norm,
  classifier,
  cap,  // of logits
  argmax,
  softmax,
};
std::string_view to_string(Role role);  // "attention norm"
// A norm's, and that of what comes behind it.
using NormRoles = std::pair<Role, Role>;
// A branch's: of a norm within, its last product, and a norm of that.
struct BranchRoles {
  Role sub_norm, product, post_norm;
};
inline constexpr BranchRoles kAttentionBranch{Role::att_sub_norm, Role::o, Role::att_post_norm};
inline constexpr BranchRoles kInputBranch{Role::input_norm, Role::input_down, Role::input_norm};
inline constexpr BranchRoles kFeedForwardBranch{Role::ffn_sub_norm, Role::down, Role::ffn_post_norm};

constexpr bool is_post_norm(Role role) {
  return role == Role::att_post_norm || role == Role::ffn_post_norm || role == Role::input_norm ||
         role == Role::expert_post_norm || role == Role::shared_post_norm || role == Role::att_output_norm ||
         role == Role::layer_output_norm;
}
// Whether its result is added to the residual stream, or is that, unless a post-norm comes behind it.
constexpr bool adds_to_stream(Role role) {
  return role == Role::o || role == Role::down || role == Role::mix || is_post_norm(role);
}

// Whether it multiplies with weights, or keys and values.
constexpr bool is_product_or_attention(Role role) {
  switch (role) {
    case Role::q:
    case Role::k:
    case Role::v:
    case Role::o:
    case Role::gate_up:
    case Role::down:
    case Role::router:
    case Role::shared_router:
    case Role::shared_gate_up:
    case Role::shared_down:
    case Role::classifier:
    case Role::attention:
    case Role::layer_inputs:
    case Role::input_projection:
    case Role::input_gate:
    case Role::input_down:
    case Role::att_gate:
    case Role::q_down:
    case Role::absorb:
    case Role::raise:
    case Role::delta_input:
    case Role::delta_decay:
    case Role::delta_rate:
    case Role::delta:
      return true;
    default:
      return false;
  }
}

// How calls come out of a step and the rows at hand.
enum class Calls : std::uint8_t {
  one,        // its Args as they stand
  each_row,   // one for each row of the thread's share
  row_range,  // one for all rows of the share
  units,      // of a matrix, as they are dealt out
  attention,  // over the thread's heads, for each run of the rows
  runs,       // one for each run of the rows
  places,     // one for each of the thread's share of the experts' rows
  experts,    // units of the matrices of experts, as they are dealt out
};

// Which members of a step's Args follow the rows. Offsets are in bytes from the Args' begin.
struct RowMembers {
  struct Pointer {
    std::size_t at;
    std::int64_t stride;  // bytes from one row's to the next one's
  };
  static constexpr std::size_t kMost = 8;
  static constexpr std::size_t kNone = ~std::size_t{0};

  std::array<Pointer, kMost> pointers{};
  std::size_t n_pointers = 0;
  std::size_t count_at = kNone;  // an int64 that says how many rows there are
  std::size_t units_at = kNone;  // two: the first unit, and the one behind the last
};

// A step's heads, and how attention's Args follow them. Args stand for the share's first head of the first
// row.
struct AttentionHeads {
  HeadShare share;
  std::int64_t row_stride;   // floats from a row's queries, and results, to the next one's
  std::int64_t head_stride;  // floats from a K/V head's first query, or result, to the next head's
  std::int64_t group;        // query heads of a K/V head
  std::int64_t keys_bytes;   // of a head in a page
  std::int64_t values_bytes;
  Target tile;  // of several consecutive rows at once
  int tile_rows;
};

// Without a kernel it is a barrier, or an exchange of ranks. Args never change after load: what differs from row to row stands in the
// Cursors that they point to.
struct Step {
  Target target;
  const void* args = nullptr;
  std::uint16_t args_bytes = 0;
  Role role{};
  Calls calls = Calls::one;
  int layer = -1;                         // -1: before or behind them
  int part = 0, parts = 1;                // the thread's share of the rows
  const RowMembers* rows = nullptr;       // where calls follow rows or units
  const AttentionHeads* heads = nullptr;  // Calls::attention
  Deal* deal = nullptr;                   // Calls::units
  ExpertProduct* experts = nullptr;       // Calls::experts
  ExpertTable* table = nullptr;           // Calls::places and Calls::experts
  bool sorts_table = false;               // the first of these behind the choice does
  const RowMembers* places = nullptr;     // Calls::places: what follows places; `rows` follow their rows
  const Split::Part* tokens = nullptr;    // an embedding's, whose rows are here; nullptr: all
  Exchange* exchange = nullptr;           // by one thread, between barriers

  bool is_barrier() const { return target.kernel == nullptr && exchange == nullptr; }
  // Whether a call of an embedding is left to another rank.
  bool is_elsewhere(const void* embed_args) const {
    if (tokens == nullptr) return false;
    const std::int32_t token = static_cast<const jit::EmbedArgs*>(embed_args)->at->token;
    return token < tokens->first || token >= tokens->second;
  }
  // How often a token's step is what its kernel and Args say: once for each expert that is chosen.
  int times_a_token() const { return calls == Calls::experts ? table->used() : 1; }
};

// Consecutive rows of one sequence: row first + i stands at position pos + i.
struct RowRun {
  std::int64_t first;
  std::int64_t n;
  std::int64_t pos;
};

// What a program is walked with.
struct Rows {
  std::int64_t n = 1;
  std::span<const RowRun> runs{};
};

// A thread's steps for each thread of a team, the same barriers in each.
struct Program {
  std::vector<std::vector<Step>> threads;
  std::int64_t walks = 0;  // so far: deals begin anew with each

  void link();
};

// A copy of Args that follows the rows.
class RowArgs {
 public:
  explicit RowArgs(const Step& step);
  void move_to(std::int64_t row) { move(*step_.rows, row); }
  void move(const RowMembers& members, std::int64_t to);
  void set_count(std::int64_t n);
  void set_units(const Deal::Range& units);
  const void* data() const { return bytes_; }

  static constexpr std::size_t kMost = 160;

 private:
  const Step& step_;
  alignas(8) std::byte bytes_[kMost];
};

// Attention's Args for a row and a head of the share, so many heads from there on.
jit::AttentionArgs attention_args(const Step& step, std::int64_t row, std::int64_t head, std::int64_t heads);

// Calls call(target, args) for each call of attention by this thread. Single rows take all heads at once,
// which hides latencies. Of a longer run, a head's keys and values stay in the cache while its rows come
// by, in tiles where their positions allow. Threads that share a head take turns, as later rows have more
// positions to look at.
template <class Call>
void for_each_attention(const Step& step, const Rows& rows, Call call) {
  const AttentionHeads& h = *step.heads;
  const HeadShare& mine = h.share;
  std::int64_t turn = 0;
  const auto is_mine = [&] { return turn++ % mine.parts == mine.part; };
  for (const RowRun& run : rows.runs) {
    if (run.n == 1) {
      if (!is_mine()) continue;
      const jit::AttentionArgs args = attention_args(step, run.first, 0, mine.size());
      call(step.target, &args);
      continue;
    }
    for (std::int64_t head = 0; head < mine.size(); ++head) {
      for (std::int64_t i = 0, n = 0; i < run.n; i += n) {
        const bool whole = (run.pos + i) % h.tile_rows == 0 && i + h.tile_rows <= run.n;
        n = whole ? h.tile_rows : 1;
        if (!is_mine()) continue;
        const jit::AttentionArgs args = attention_args(step, run.first + i, head, 1);
        call(whole ? h.tile : step.target, &args);
      }
    }
  }
}

// Calls call(target, args) for each call that a thread makes of a step. `walk` counts those of the program
// before.
template <class Call>
void for_each_call(const Step& step, const Rows& rows, int thread, std::int64_t walk, Call call) {
  if (step.exchange != nullptr) return step.exchange->run(rows.n);
  switch (step.calls) {
    case Calls::one:
      return call(step.target, step.args);
    case Calls::attention:
      return for_each_attention(step, rows, call);
    case Calls::each_row: {
      const auto [begin, end] = share_of(rows.n, step.part, step.parts);
      for (std::int64_t row = begin; row < end; ++row) {
        RowArgs args(step);
        args.move_to(row);
        if (!step.is_elsewhere(args.data())) call(step.target, args.data());
      }
      return;
    }
    case Calls::row_range: {
      const auto [begin, end] = share_of(rows.n, step.part, step.parts);
      if (begin == end) return;
      RowArgs args(step);
      args.move_to(begin);
      args.set_count(end - begin);
      return call(step.target, args.data());
    }
    case Calls::runs: {
      for (const RowRun& run : rows.runs) {
        RowArgs args(step);
        args.move_to(run.first);
        args.set_count(run.n);
        call(step.target, args.data());
      }
      return;
    }
    case Calls::places: {
      ExpertTable& table = *step.table;
      if (step.sorts_table) table.sort(rows.n);
      const auto [begin, end] = share_of(std::ssize(table.places()), step.part, step.parts);
      for (const ExpertTable::Place& place :
           table.places().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))) {
        RowArgs args(step);
        if (step.rows != nullptr) args.move(*step.rows, place.row);
        args.move(*step.places, place.position);
        call(step.target, args.data());
      }
      return;
    }
    case Calls::experts:
      if (step.sorts_table) step.table->sort(rows.n);
      return step.experts->multiply_dealt(step.table->chosen(), thread, walk, call);
    case Calls::units: {
      RowArgs args(step);
      args.set_count(rows.n);
      for (Deal::Range units = step.deal->next(thread, walk); !units.empty();
           units = step.deal->next(thread, walk)) {
        args.set_units(units);
        call(step.target, args.data());
      }
    }
  }
}

// Runs a program on a team.
void run(Program& program, const Rows& rows, Team& team);
// Its share of thread `thread` alone, within a job of the team.
void run(const Program& program, const Rows& rows, int thread, Team& team);
// Runs a program on a team and calls see(step, thread), on each thread, behind each of its steps: what a step reads
// is there until the thread's next step but for what other threads write before the next barrier.
template <class See>
void run_seen(Program& program, const Rows& rows, Team& team, See see) {
  auto job = [&](int thread) {
    for (const Step& step : program.threads[static_cast<std::size_t>(thread)]) {
      if (step.is_barrier()) {
        team.barrier(thread);
        continue;
      }
      for_each_call(step, rows, thread, program.walks,
                    [](const Target& target, const void* args) { target.call(args); });
      see(step, thread);
    }
  };
  team.run(job);
  ++program.walks;
}

// Walks a program for all its threads on the calling one, barrier by barrier, as what lies between two may
// run in any order, and calls call(step, target, args) for each call.
template <class Call>
void walk_alone(Program& program, const Rows& rows, Call call) {
  std::vector<std::span<const Step>> left(program.threads.begin(), program.threads.end());
  for (bool more = true; more;) {
    more = false;
    for (std::size_t t = 0; t < left.size(); ++t) {
      std::span<const Step>& steps = left[t];
      for (; !steps.empty() && !steps.front().is_barrier(); steps = steps.subspan(1)) {
        const Step& step = steps.front();
        for_each_call(step, rows, static_cast<int>(t), program.walks,
                      [&](const Target& target, const void* args) { call(step, target, args); });
      }
      if (!steps.empty()) steps = steps.subspan(1);
      more = more || !steps.empty();
    }
  }
  ++program.walks;
}

}  // namespace llamajit
