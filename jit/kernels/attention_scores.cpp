// Attention's scores: sixteen positions a vector, dimensions 2 ways. A sum for each way, group of sixteen
// positions and row stays in a register; each vector of keys is read once for all rows of a block.
#include <algorithm>
#include <vector>

#include "jit/kernels/attention_frame.h"

namespace llamajit::jit {
namespace {

constexpr int kScoreWays = 2;

class Scores {
 public:
  explicit Scores(const AttentionFrame& frame) : f(frame), e(frame.e) {}

  void emit() {
    const int at_once = rows_at_once();
    for (int first = 0; first < f.rows(); first += at_once) {
      emit_rows(first, std::min(at_once, f.rows() - first));
    }
    e.add(f.q, f.next_head());
    e.advance(f.keys, f.layout.keys_bytes());
    e.add(f.scores, f.rows() * kScoreRowBytes);
  }

 private:
  bool scaled() const { return f.layout.scaled(); }
  // Several tokens have rows enough to hide fma's latency: their ways are summed one after the other, and the more rows
  // read a vector of keys, the less it costs to make it floats.
  int ways_at_once() const { return f.key.tokens > 1 && e.isa().wide() && !scaled() ? 1 : kScoreWays; }
  // Scales take a total beside the two ways of each sum.
  int rows_at_most() const { return e.isa().wide() ? 16 / ways_at_once() : scaled() ? 2 : 3; }
  int rows_at_once() const {
    return static_cast<int>(divide_up(f.rows(), divide_up(f.rows(), rows_at_most())));
  }
  // As many groups are summed side by side as hide fma's latency and as there are registers for.
  int groups_at_most(int n_rows) const { return std::max(1, (e.isa().wide() ? 8 : rows_at_most()) / n_rows); }

  void emit_rows(int first, int n_rows) {
    f.count_positions(kLanes);
    e.mov(f.at, f.keys);
    e.lea(f.row, e.ptr[f.scores + score_row_at(first)]);
    for (int n_groups = groups_at_most(n_rows); n_groups >= 1; n_groups /= 2) {
      e.while_at_least(f.count, n_groups, [&] { emit_block(first, n_rows, n_groups); });
    }
  }

  // Rows and groups of sixteen positions that are summed side by side.
  struct Block {
    Block(Emitter& e, int first_row, int rows, int groups, int ways, bool with_totals)
        : first(first_row), n_rows(rows), n_groups(groups) {
      sums[0] = e.v16s({n_groups, n_rows}, ways == 1 ? "sums[group][row]" : "even[group][row]");
      if (ways > 1) sums[1] = e.v16s({n_groups, n_rows}, "odd[group][row]");
      if (with_totals) totals = e.v16s({n_groups, n_rows}, "total[group][row]");
      for (int i = 0; i < (n_groups > 1 ? n_rows : 1); ++i) queries.push_back(e.uniform16("query"));
      keys = e.v16("keys");
    }
    int group_of(std::size_t sum) const { return static_cast<int>(sum) / n_rows; }
    int row_of(std::size_t sum) const { return static_cast<int>(sum) % n_rows; }

    int first, n_rows;  // of the head's
    int n_groups;
    // (groups, rows) of each way; of ways that come by one after the other, the first alone.
    std::vector<V16> sums[kScoreWays];
    std::vector<V16> totals;   // of blocks with scales, the same
    std::vector<V16> queries;  // a number of each row; one for all where each is needed just once
    V16 keys;
  };

  // The scores of `n_groups` groups of sixteen positions at `at`, to `row`; moves both past them.
  void emit_block(int first, int n_rows, int n_groups) {
    Emitter::VectorScope scope(e);
    const Block b(e, first, n_rows, n_groups, ways_at_once(), scaled());
    e.note("scores of rows {} to {}: {} x 16 positions, dimensions {} ways", first, first + n_rows - 1,
           n_groups, kScoreWays);
    if (ways_at_once() == kScoreWays) {
      add_all_dimensions(b, {0, 1});
    } else {
      add_all_dimensions(b, {0, kScoreWays});
      e.note("the odd dimensions");
      for (std::size_t i = 0; i < b.sums[0].size(); ++i) e.store(score_at(b, i), b.sums[0][i]);
      e.advance(f.at, -std::int64_t{f.key.head_dim} * f.layout.vector_bytes());
      add_all_dimensions(b, {1, kScoreWays});
    }
    if (n_groups > 1) e.add(f.at, (n_groups - 1) * f.layout.key_group_bytes());

    const float factor = f.key.scores.factor(f.key.head_dim);
    e.note("score = sum * {}", factor);
    for (std::size_t i = 0; i < b.sums[0].size(); ++i) {
      const V16& score = scaled() ? b.totals[i] : b.sums[0][i];
      if (ways_at_once() == 1) {
        e.add(score, score, score_at(b, i));
      } else if (!scaled()) {
        e.add(score, score, b.sums[1][i]);
      }
      e.mul(score, score, f32(factor));
      e.store(score_at(b, i), score);
    }
    e.add(f.row, n_groups * kLanes * 4);
  }

  RegExp score_at(const Block& b, std::size_t sum) const {
    return f.row + (score_row_at(b.row_of(sum)) + b.group_of(sum) * kLanes * 4);
  }

  // Dimensions first, first + step, …
  struct Dimensions {
    int first, step;
  };

  // Sums them from zero on, and moves `at` past all.
  void add_all_dimensions(const Block& b, Dimensions which) {
    for (const std::vector<V16>* all : {&b.sums[0], &b.sums[1], &b.totals}) {
      for (const V16& sum : *all) e.zero(sum);
    }
    // A block with scales is straight code; without, a few dimensions are.
    const int turn = scaled() ? f.layout.block_dims() : 8;
    e.mov(f.at_q, f.q);
    e.repeat(f.inner, f.key.head_dim / turn, [&] {
      add_dimensions(b, which, turn);
      e.add(f.at_q, turn * 4);
    });
    if (f.key.head_dim % turn > 0) add_dimensions(b, which, f.key.head_dim % turn);
  }

  // Those of n dimensions, where there are scales a block of them; moves `at` past all n.
  void add_dimensions(const Block& b, Dimensions which, int n) {
    for (int d = which.first; d < n; d += which.step) {
      const auto query = [&](int i) { return f.at_q + (f.query_at(b.first + i) + d * 4); };
      if (b.n_groups > 1) {
        for (int i = 0; i < b.n_rows; ++i) e.broadcast(b.queries[static_cast<std::size_t>(i)], query(i));
      }
      for (int group = 0; group < b.n_groups; ++group) {
        e.load_as_f32(b.keys, f.at + (group * f.layout.key_group_bytes() + d * f.layout.vector_bytes()),
                      f.key.type);
        for (int i = 0; i < b.n_rows; ++i) {
          const std::vector<V16>& sums = b.sums[which.step == 1 ? d % kScoreWays : 0];
          const V16& sum = sums[static_cast<std::size_t>(group * b.n_rows + i)];
          if (b.n_groups > 1) {
            e.fma(sum, b.keys, b.queries[static_cast<std::size_t>(i)]);
          } else {
            e.fma_broadcast(sum, b.keys, query(i), b.queries[0]);
          }
        }
      }
    }
    if (scaled()) add_scaled(b, n);
    e.add(f.at, n * f.layout.vector_bytes() + f.layout.scales_bytes());
  }

  // total = fma(sum, scale, total), and the sums begin anew.
  void add_scaled(const Block& b, int block_dims) {
    e.note("total += the block's sum * its positions' scales");
    for (std::size_t i = 0; i < b.totals.size(); ++i) {
      if (b.row_of(i) == 0) {
        const int group = b.group_of(i) * f.layout.key_group_bytes();
        e.load(b.keys, f.at + (group + block_dims * f.layout.vector_bytes()));
      }
      e.add(b.sums[0][i], b.sums[0][i], b.sums[1][i]);
      e.fma(b.totals[i], b.sums[0][i], b.keys);
      for (const std::vector<V16>& sums : b.sums) e.zero(sums[i]);
    }
  }

  const AttentionFrame& f;
  Emitter& e;
};

}  // namespace

void emit_scores(const AttentionFrame& f) {
  Scores(f).emit();
}

}  // namespace llamajit::jit
