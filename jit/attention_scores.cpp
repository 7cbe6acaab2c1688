// Attention's scores: sixteen positions a vector, dimensions 2 ways. A sum for each way, group of sixteen
// positions and row stays in a register; each vector of keys is read once for all rows of a block.
#include <algorithm>
#include <cmath>
#include <vector>

#include "jit/attention.h"

namespace llamajit::jit {
namespace {

constexpr int kWays = 2;

class Scores {
 public:
  explicit Scores(const AttentionFrame& frame) : f(frame), e(frame.e) {}

  void emit() {
    const int blocks = static_cast<int>(divide_up(f.rows(), rows_at_most()));
    const int rows_at_once = static_cast<int>(divide_up(f.rows(), blocks));
    for (int first = 0; first < f.rows(); first += rows_at_once) {
      emit_rows(first, std::min(rows_at_once, f.rows() - first));
    }
    e.add(f.q, f.rows() * f.head_bytes());
    e.advance(f.keys, f.layout.keys_bytes());
    e.add(f.scores, f.rows() * kScoreRowBytes);
  }

 private:
  bool scaled() const { return f.layout.scaled(); }
  // Scales take a total beside the two ways of each sum.
  int rows_at_most() const { return e.isa().wide() ? 8 : scaled() ? 2 : 3; }
  // So many groups side by side that fma's latency is hidden and the registers suffice.
  int groups_at_most(int n_rows) const { return std::max(1, (e.isa().wide() ? 8 : rows_at_most()) / n_rows); }

  void emit_rows(int first, int n_rows) {
    f.count_positions(kLanes);
    e.mov(f.at, f.keys);
    e.lea(f.row, e.ptr[f.scores + score_row_at(first)]);
    for (int n_groups = groups_at_most(n_rows); n_groups >= 1; n_groups /= 2) {
      e.while_at_least(f.count, n_groups, [&] { emit_groups(first, n_rows, n_groups); });
    }
  }

  struct Registers {
    std::vector<V16> sums[kWays];  // (groups, rows)
    std::vector<V16> totals;       // of blocks with scales, the same
    std::vector<V16> queries;      // a number of each row; one for all where each is needed just once
    V16 keys;
  };

  // The scores of `n_groups` groups of sixteen positions at `at`, to `row`; moves both past them.
  void emit_groups(int first, int n_rows, int n_groups) {
    Emitter::VectorScope scope(e);
    Registers r;
    for (std::vector<V16>& sums : r.sums) sums = e.v16s(n_groups * n_rows);
    if (scaled()) r.totals = e.v16s(n_groups * n_rows);
    for (int i = 0; i < (n_groups > 1 ? n_rows : 1); ++i) r.queries.push_back(e.uniform16());
    r.keys = e.v16();
    for (const std::vector<V16>* all : {&r.sums[0], &r.sums[1], &r.totals}) {
      for (const V16& sum : *all) e.zero(sum);
    }

    // A block with scales is straight code; without, a few dimensions are.
    const int turn = scaled() ? f.layout.block_dims() : 8;
    e.lea(f.at_q, e.ptr[f.q + f.query_at(first)]);
    e.repeat(f.inner, f.key.head_dim / turn, [&] {
      add_dimensions(r, turn, n_rows, n_groups);
      e.add(f.at_q, turn * 4);
    });
    if (f.key.head_dim % turn > 0) add_dimensions(r, f.key.head_dim % turn, n_rows, n_groups);
    if (n_groups > 1) e.add(f.at, (n_groups - 1) * f.layout.key_group_bytes());

    for (std::size_t i = 0; i < r.sums[0].size(); ++i) {
      const V16& score = scaled() ? r.totals[i] : r.sums[0][i];
      if (!scaled()) e.add(score, score, r.sums[1][i]);
      e.mul(score, score, f32(1.0F / std::sqrt(static_cast<float>(f.key.head_dim))));
      const int group = static_cast<int>(i) / n_rows;
      e.store(f.row + (score_row_at(static_cast<int>(i) % n_rows) + group * kLanes * 4), score);
    }
    e.add(f.row, n_groups * kLanes * 4);
  }

  // n dimensions, for scales a block; moves `at` past them.
  void add_dimensions(const Registers& r, int n, int n_rows, int n_groups) {
    for (int d = 0; d < n; ++d) {
      const auto query = [&](int i) { return f.at_q + (f.query_at(i) + d * 4); };
      if (n_groups > 1) {
        for (int i = 0; i < n_rows; ++i) e.broadcast(r.queries[static_cast<std::size_t>(i)], query(i));
      }
      for (int group = 0; group < n_groups; ++group) {
        e.load_as_f32(r.keys, f.at + (group * f.layout.key_group_bytes() + d * f.layout.vector_bytes()),
                      f.key.type);
        for (int i = 0; i < n_rows; ++i) {
          const V16& sum = r.sums[d % kWays][static_cast<std::size_t>(group * n_rows + i)];
          if (n_groups > 1) {
            e.fma(sum, r.keys, r.queries[static_cast<std::size_t>(i)]);
          } else {
            e.fma_broadcast(sum, r.keys, query(i), r.queries[0]);
          }
        }
      }
    }
    if (scaled()) add_scaled(r, n, n_rows);
    e.add(f.at, n * f.layout.vector_bytes() + f.layout.scales_bytes());
  }

  // total = fma(sum, scale, total), and the sums begin anew.
  void add_scaled(const Registers& r, int block_dims, int n_rows) {
    for (std::size_t i = 0; i < r.totals.size(); ++i) {
      const int group = static_cast<int>(i) / n_rows;
      if (static_cast<int>(i) % n_rows == 0) {
        e.load(r.keys, f.at + (group * f.layout.key_group_bytes() + block_dims * f.layout.vector_bytes()));
      }
      e.add(r.sums[0][i], r.sums[0][i], r.sums[1][i]);
      e.fma(r.totals[i], r.sums[0][i], r.keys);
      for (const std::vector<V16>& sums : r.sums) e.zero(sums[i]);
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
