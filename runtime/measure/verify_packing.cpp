// Holds packed weights against the file's.
#include <atomic>
#include <bit>
#include <vector>

#include "jit/base/float_bits.h"
#include "runtime/measure/verify.h"

namespace llamajit {
namespace {

using jit::kLanes;

// A tensor and what was packed of it, row by row.
class PackedRows {
 public:
  // It begins with this one of the tiles that alternate.
  PackedRows(const Tensor& tensor, const PackedMatrix& packed, int first_tile)
      : tensor_(tensor),
        packed_(packed),
        first_(packed.data + first_tile * jit::tile_bytes(packed.format, packed.cols)),
        expected_(static_cast<std::size_t>(tensor.cols)),
        values_(static_cast<std::size_t>(packed.cols)) {}

  // The number of weights of row number `row` that are not those of the file's row `from`.
  std::int64_t count_wrong(std::int64_t row, std::int64_t from) {
    const std::int64_t in_copy = row % packed_.rows, unit = in_copy / kLanes;
    if (unit < packed_.own.first || unit >= packed_.own.second) return 0;  // another rank has it
    const std::byte* const copy = first_ + row / packed_.rows * packed_.copy_stride;
    packed_row(packed_.format, copy, in_copy, packed_.tiles_per_unit, values_);
    source_row(source(tensor_), tensor_.row_at(from), expected_);
    std::int64_t wrong = 0;
    for (std::size_t col = 0; col < expected_.size(); ++col) {
      const float expected = packed_.format.kind == jit::FormatKind::bf16_pairs
                                 ? jit::bfloat_to_float(jit::float_to_bfloat(expected_[col]))
                                 : expected_[col];
      if (std::bit_cast<std::uint32_t>(values_[col]) != std::bit_cast<std::uint32_t>(expected)) ++wrong;
    }
    return wrong;
  }

 private:
  const Tensor& tensor_;
  const PackedMatrix& packed_;
  const std::byte* first_;
  std::vector<float> expected_, values_;
};

// Counts wrong weights of one matrix after the other, the threads sharing the rows.
class PackingCheck {
 public:
  explicit PackingCheck(Team& team) : team_(team) {}

  std::int64_t wrong() const { return wrong_; }
  // Row number `row` stands in the file as row_of(row).
  template <class RowOf>
  void check(const Tensor& tensor, const PackedMatrix& packed, int first_tile, RowOf row_of) {
    auto job = [&](int thread) {
      const auto [first, last] = share_of(tensor.rows, thread, team_.size());
      PackedRows rows(tensor, packed, first_tile);
      for (std::int64_t row = first; row < last; ++row) wrong_ += rows.count_wrong(row, row_of(row));
    };
    team_.run(job);
  }
  void check(const Tensor& tensor, const PackedMatrix& packed, int first_tile = 0) {
    check(tensor, packed, first_tile, [](std::int64_t row) { return row; });
  }
  void check_if_any(const Tensor& tensor, const PackedMatrix& packed) {
    if (tensor.exists()) check(tensor, packed);
  }

 private:
  Team& team_;
  std::atomic<std::int64_t> wrong_{0};
};

void check_attention(PackingCheck& all, const LayerTensors& from, const LayerWeights& to,
                     const LayerShape& shape) {
  const auto rotated = [&](std::int64_t row) { return rotated_row(shape, row); };
  if (shape.is_linear()) {
    all.check(from.wq, to.wq);
    all.check(from.delta_decay, to.delta.decay);
    all.check(from.delta_rate, to.delta.rate);
  } else if (shape.is_latent()) {
    all.check(from.wq, to.wq);
    all.check(from.absorb, to.latent.absorb);
    all.check(from.raise, to.latent.raise);
    all.check_if_any(from.q_down, to.latent.q_down);
  } else {
    all.check(from.wq, to.wq, 0, rotated);
  }
  if (shape.owns_kv()) {
    all.check(from.wk, to.wk, 0, rotated);
    all.check(from.wv, to.wv);
  }
  all.check_if_any(from.att_gate, to.att_gate);
  all.check(from.wo, to.wo);
}

void check_feed_forward(PackingCheck& all, const LayerTensors& from, const LayerWeights& to,
                        const LayerShape& shape) {
  if (shape.gated()) all.check(from.gate, to.gate_up);
  all.check(from.up, to.gate_up, shape.gated() ? 1 : 0);
  all.check(from.down, to.down);
  if (!shape.has_experts()) return;
  all.check(from.router, to.router);
  all.check_if_any(from.shared_router, to.shared_router);
  if (!from.shared_up.exists()) return;
  all.check(from.shared_gate, to.shared_gate_up);
  all.check(from.shared_up, to.shared_gate_up, 1);
  all.check(from.shared_down, to.shared_down);
}

}  // namespace

std::int64_t verify_packing(const ModelFile& file, const Precision& precision, const Split& split,
                            int threads) {
  Team team(threads);
  const Weights weights(file, team, precision.bf16, split);
  PackingCheck all(team);
  all.check(file.embedding, weights.embedding);
  if (weights.classifier.exists() && !file.config.shared_classifier) {
    all.check(file.classifier, weights.classifier);
  }
  all.check_if_any(file.layer_inputs, weights.layer_inputs);
  all.check_if_any(file.layer_input_matrix, weights.layer_input_matrix);
  all.check_if_any(file.token_types, weights.token_types);
  all.check_if_any(file.positions, weights.positions);
  for (std::size_t i = 0; i < file.layers.size(); ++i) {
    const LayerTensors& from = file.layers[i];
    const LayerWeights& to = weights.layers[i];
    const LayerShape& shape = file.config.layer(i);
    check_attention(all, from, to, shape);
    all.check_if_any(from.input_gate, to.input_gate);
    all.check_if_any(from.input_down, to.input_down);
    check_feed_forward(all, from, to, shape);
  }
  return all.wrong();
}

}  // namespace llamajit
