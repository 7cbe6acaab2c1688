#include "runtime/forward/weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/forward/head_deal.h"
#include "runtime/forward/weight_packer.h"

namespace llamajit {

bool as_pairs(jit::Format format, Bf16Products which) {
  switch (which) {
    case Bf16Products::stored_so:
      return format.kind == jit::FormatKind::bf16;
    case Bf16Products::all_floats:
      return !has_codes(format);
    case Bf16Products::none:
      break;
  }
  return false;
}

// Places weights one after the other. Without memory it learns the size; with memory that it fills, vectors are filled
// at once.
class Weights::Layout {
 public:
  Layout(const ModelFile& file, Carver& carver, const Plan& plan, bool fills)
      : file_(file), carver_(carver), plan_(plan), fills_(fills) {}

  // Of a tensor's rows, which units this rank has, and whether others have others: all, its share, or those of its heads,
  // of so many rows each, with the units that it has in common with its neighbours.
  struct Units {
    Split::Part own;
    bool split;
  };
  static Units all(const Tensor& tensor, int copies = 1) {
    return {{0, jit::divide_up(tensor.rows / copies, jit::kLanes)}, false};
  }
  Units share(const Tensor& tensor, int copies = 1) const {
    return {plan_.split.own(all(tensor, copies).own.second), !plan_.split.alone()};
  }
  Units heads_of(const LayerShape& shape, int rows) const {
    const auto [begin, end] = own_heads(shape, plan_.split);
    if (begin == end) return {{0, 0}, true};
    return {{begin * rows / jit::kLanes, jit::divide_up(end * rows, jit::kLanes)}, !plan_.split.alone()};
  }

  // One whose rows are only copied.
  PackedMatrix table(const Tensor& tensor, const Units& units) {
    return place({&tensor}, units, nullptr, tensor.format);
  }
  PackedMatrix matrix(const Tensor& tensor, const Tensor& scale, const Tensor& bias, const Units& units,
                      const LayerShape* rotated = nullptr) {
    return with({&scale}, bias, place({&tensor}, units, rotated), rotated);
  }
  PackedMatrix whole(const Tensor& tensor, const Tensor& bias = {}) {
    return matrix(tensor, {}, bias, all(tensor));
  }
  // Products are also multiplied with `factor`.
  PackedMatrix matrix(const Tensor& tensor, const Tensor& scale, const Tensor& bias, const Units& units,
                      float factor) {
    return scaled({&scale}, bias, place({&tensor}, units, nullptr), factor);
  }
  // One that lies packed already, as what multiplies.
  PackedMatrix shared(const PackedMatrix& matrix, const Tensor& bias, float factor) {
    return scaled({}, bias, matrix, factor);
  }
  PackedMatrix pair(const Tensor& gate, const Tensor& up, const Tensor& gate_scale, const Tensor& up_scale) {
    return with({&gate_scale, &up_scale}, {}, place({&gate, &up}, share(gate), nullptr), nullptr);
  }
  // Experts' matrices, which no tile has in common: their rows are whole tiles.
  PackedMatrix experts(std::initializer_list<const Tensor*> tensors,
                       std::initializer_list<const Tensor*> biases, int count) {
    PackedMatrix m = place(tensors, share(**tensors.begin(), count), nullptr, {}, count);
    if ((*biases.begin())->exists()) m.bias = alternating(biases);
    return m;
  }
  // Heads' matrices, of the same kind. Their inputs are never prepared.
  PackedMatrix heads(const Tensor& tensor, int count) {
    return place({&tensor}, all(tensor, count), nullptr, tensor.format, count);
  }
  // A LayerNorm's bias is zeros where the file has none.
  NormWeights norm(const Tensor& weight, const Tensor& bias, jit::NormKind kind) {
    NormWeights to{vector(weight), vector(bias)};
    if (weight.exists() && kind == jit::NormKind::layer && to.bias == nullptr) to.bias = zeros(weight.cols);
    return to;
  }
  NormWeights head_norm(const Tensor& weight, const LayerShape& shape) {
    NormWeights to{vector(weight, &shape), nullptr};
    if (weight.exists() && shape.head_norm == HeadNorm::own) to.bias = zeros(shape.head_dim());
    return to;
  }
  // nullptr where there is no such tensor.
  const float* vector(const Tensor& tensor, const LayerShape* rotated = nullptr, float factor = 1) {
    if (!tensor.exists()) return nullptr;
    float* const to = carver_.take<float>(tensor.cols);
    for (std::int64_t i = 0; fills_ && i < tensor.cols; ++i) {
      to[i] = number(tensor, 0, rotated != nullptr ? rotated_row(*rotated, i) : i) * factor;
    }
    return to;
  }
  // Its columns as rows, jit::row_stride() apart.
  const float* transposed(const Tensor& tensor) {
    const std::int64_t stride = jit::row_stride(tensor.rows);
    float* const to = carver_.take<float>(tensor.cols * stride);
    for (std::int64_t i = 0; fills_ && i < tensor.rows * tensor.cols; ++i) {
      to[i % tensor.cols * stride + i / tensor.cols] = number(tensor, i / tensor.cols, i % tensor.cols);
    }
    return to;
  }
  // A vector of equal numbers that no file has.
  const float* filled(std::int64_t n, float value) {
    float* const to = carver_.take<float>(n);
    if (fills_) std::fill_n(to, n, value);
    return to;
  }
  // The same of a number that the file has, if it has it.
  // ALiBi's of so many heads, with a minus: 2^(-8 k / n), k from 1, for the largest power of two n that there are;
  // then of those of twice as many every other one.
  const float* slopes(int n_heads) {
    auto* const to = carver_.take<float>(jit::row_stride(n_heads));
    const int n = static_cast<int>(std::bit_floor(static_cast<unsigned>(n_heads)));
    for (int i = 0; fills_ && i < n_heads; ++i) {
      const float exponent =
          i < n ? 8.0F * static_cast<float>(i + 1) : 4.0F * static_cast<float>(2 * (i - n) + 1);
      to[i] = -std::exp2(-exponent / static_cast<float>(n));
    }
    return to;
  }
  const float* filled(std::int64_t n, const Tensor& value) {
    return value.exists() ? filled(n, fills_ ? number(value, 0, 0) : 0) : nullptr;
  }

  std::vector<PackJob> jobs;

 private:
  // A value of a tensor, which is refused if it is no finite number.
  float number(const Tensor& tensor, std::int64_t row, std::int64_t col) const {
    const float value = source_value(source(tensor), row, col);
    if (!std::isfinite(value)) refuse_weights(file_, tensor);
    return value;
  }
  // The first row of each tensor, then the second one of each, and so on.
  const float* alternating(std::initializer_list<const Tensor*> tensors) {
    const Tensor& first = **tensors.begin();
    const auto n = static_cast<std::int64_t>(tensors.size());
    float* to = carver_.take<float>(n * first.rows * first.cols);
    float* const begin = to;
    if (!fills_) return begin;
    for (std::int64_t row = 0; row < first.rows; ++row) {
      for (const Tensor* tensor : tensors) {
        for (std::int64_t col = 0; col < tensor->cols; ++col) *to++ = number(*tensor, row, col);
      }
    }
    return begin;
  }
  // Without a format, the tensors' own, or pairs if they are multiplied so.
  PackedMatrix place(std::initializer_list<const Tensor*> tensors, const Units& units,
                     const LayerShape* rotated, std::optional<jit::Format> format = {}, int copies = 1) {
    constexpr jit::Format kPairs{jit::FormatKind::bf16_pairs, 0};
    const Tensor& first = **tensors.begin();
    if (!format) format = as_pairs(first.format, plan_.bf16) ? kPairs : first.format;
    PackedMatrix m{.format = *format,
                   .rows = static_cast<int>(first.rows / copies),
                   .cols = static_cast<int>(first.cols),
                   .tiles_per_unit = static_cast<int>(tensors.size()),
                   .copies = copies,
                   .own = units.own,
                   .is_split = units.split};
    m.copy_stride = plan_.whole ? m.all_units() * m.unit_bytes() : m.matrix_bytes();
    m.data = carver_.take<std::byte>(m.copy_stride * copies);
    if (!plan_.whole && m.data != nullptr) m.data -= units.own.first * m.unit_bytes();
    int tile = 0;
    for (const Tensor* tensor : tensors) jobs.push_back({tensor, m, tile++, rotated});
    return m;
  }
  PackedMatrix with(std::initializer_list<const Tensor*> scales, const Tensor& bias, PackedMatrix m,
                    const LayerShape* rotated) {
    m.bias = vector(bias, rotated);
    if (std::ranges::none_of(scales, &Tensor::exists)) return m;
    auto* const to = carver_.take<float>(m.tiles_per_unit);
    m.scales = to;
    for (std::size_t i = 0; fills_ && i < scales.size(); ++i) {
      const Tensor& scale = *scales.begin()[i];
      to[i] = scale.exists() ? number(scale, 0, 0) : 1.0F;
    }
    return m;
  }
  PackedMatrix scaled(std::initializer_list<const Tensor*> scales, const Tensor& bias, PackedMatrix m,
                      float factor) {
    m = with(scales, bias, m, nullptr);
    if (factor == 1) return m;
    float* const scale = carver_.take<float>(1);
    float* const scaled_bias = m.bias != nullptr ? carver_.take<float>(m.rows) : nullptr;
    if (fills_) {
      *scale = (m.scales != nullptr ? *m.scales : 1) * factor;
      for (int i = 0; scaled_bias != nullptr && i < m.rows; ++i) scaled_bias[i] = m.bias[i] * factor;
    }
    m.scales = scale;
    m.bias = scaled_bias;
    return m;
  }
  const float* zeros(std::int64_t n) { return carver_.take<float>(n); }  // as the memory is, at first

  const ModelFile& file_;
  Carver& carver_;
  const Plan& plan_;
  bool fills_;
};

// Places everything: called once without memory to learn the size, and once with it. What it places where is the packed
// file's layout (packed_file.cpp has its version).
std::vector<PackJob> Weights::lay_out(const ModelFile& file, Carver& carver, const Plan& plan, bool fills) {
  Layout layout(file, carver, plan, fills);
  const Config& config = file.config;
  const bool shared = config.shared_classifier && config.causal;
  const auto table = [&](const Tensor& tensor) {
    return tensor.exists() ? layout.table(tensor, Layout::all(tensor)) : PackedMatrix();
  };
  const Layout::Units own_tokens = layout.share(file.embedding);
  embedding = !file.embedding.exists() ? plan.model->embedding
              : shared                 ? layout.matrix(file.embedding, {}, {}, own_tokens)
                                       : layout.table(file.embedding, own_tokens);
  positions = table(file.positions);
  token_types = table(file.token_types);
  embedding_norm = layout.norm(file.embedding_norm, file.embedding_norm_bias, config.norm);
  const bool borrowed = config.takes_hidden && !file.classifier.exists();
  classifier = !config.causal ? PackedMatrix()
               : borrowed     ? plan.model->classifier
               : shared       ? layout.shared(embedding, file.classifier_bias, config.logit_scale)
                              : layout.matrix(file.classifier, {}, file.classifier_bias,
                                              layout.share(file.classifier), config.logit_scale);
  if (config.takes_hidden) {
    token_norm = layout.norm(file.token_norm, {}, config.norm);
    hidden_norm = layout.norm(file.hidden_norm, {}, config.norm);
    input_projection = layout.whole(file.input_projection);
  }
  if (file.layer_inputs.exists()) {
    layer_inputs = table(file.layer_inputs);
    layer_input_matrix = layout.matrix(file.layer_input_matrix, {}, {}, Layout::all(file.layer_input_matrix),
                                       1 / std::sqrt(static_cast<float>(config.dim)));
    // What comes of the matrix and what of the embedding are added and divided by sqrt(2).
    layer_input_norm = layout.vector(file.layer_input_norm, nullptr, std::numbers::sqrt2_v<float> / 2);
  }
  final_norm = layout.norm(file.final_norm, file.final_norm_bias, config.norm);
  layers.clear();
  for (std::size_t i = 0; i < file.layers.size(); ++i) {
    const LayerTensors& from = file.layers[i];
    const LayerShape& shape = file.config.layer(i);
    LayerWeights to{};
    to.att_norm = layout.norm(from.att_norm, from.att_norm_bias, shape.norm);
    to.ffn_norm = layout.norm(from.ffn_norm, from.ffn_norm_bias, shape.norm);
    to.att_post_norm = layout.norm(from.att_post_norm, {}, shape.norm);
    to.ffn_post_norm = layout.norm(from.ffn_post_norm, {}, shape.norm);
    to.att_output_norm = layout.norm(from.att_output_norm, from.att_output_norm_bias, shape.norm);
    to.layer_output_norm = layout.norm(from.layer_output_norm, from.layer_output_norm_bias, shape.norm);
    if (shape.is_linear()) {
      lay_out_delta(layout, from, shape.delta, to);
    } else if (shape.is_latent()) {
      lay_out_latent(layout, from, shape, to);
    } else {
      lay_out_attention(layout, from, shape, to);
    }
    to.output_scale = layout.filled(shape.dim, from.output_scale);
    if (from.input_gate.exists()) {
      to.input_gate = layout.whole(from.input_gate);
      to.input_down = layout.whole(from.input_down);
      to.input_norm = layout.norm(from.input_norm, {}, shape.norm);
    }
    if (from.att_gate.exists()) {
      to.att_gate =
          layout.matrix(from.att_gate, {}, {},
                        splits_heads(shape) ? layout.heads_of(shape, shape.group() * shape.head_dim())
                                            : Layout::all(from.att_gate));
    }
    to.ffn_sub_norm = layout.vector(from.ffn_sub_norm);
    to.wo = layout.matrix(from.wo, from.wo_scale, from.wo_bias, layout.share(from.wo), shape.residual_scale);
    if (shape.has_experts()) {
      lay_out_experts(layout, from, shape, to);
      layers.push_back(to);
      continue;
    }
    to.gate_up = shape.gated() ? layout.pair(from.gate, from.up, from.gate_scale, from.up_scale)
                               : layout.matrix(from.up, from.up_scale, from.up_bias, layout.share(from.up));
    to.down = layout.matrix(from.down, from.down_scale, from.down_bias, layout.share(from.down),
                            shape.residual_scale);
    layers.push_back(to);
  }
  return layout.jobs;
}

void Weights::lay_out_attention(Layout& layout, const LayerTensors& from, const LayerShape& shape,
                                LayerWeights& to) {
  to.q_norm = layout.head_norm(from.q_norm, shape);
  to.k_norm = layout.head_norm(from.k_norm, shape);
  to.sinks = layout.vector(from.sinks);
  if (shape.slopes) to.slopes = layout.slopes(shape.n_heads);
  to.att_sub_norm = layout.vector(from.att_sub_norm);
  to.wq = layout.matrix(from.wq, from.wq_scale, from.wq_bias,
                        layout.heads_of(shape, shape.group() * shape.head_dim()), &shape);
  if (!shape.owns_kv()) return;
  if (shape.norms_values) to.v_norm = layout.filled(shape.head_dim(), 1);
  const Layout::Units units = layout.heads_of(shape, shape.head_dim());
  to.wk = layout.matrix(from.wk, from.wk_scale, from.wk_bias, units, &shape);
  to.wv = layout.matrix(from.wv, from.wv_scale, from.wv_bias, units);
}

void Weights::lay_out_latent(Layout& layout, const LayerTensors& from, const LayerShape& shape,
                             LayerWeights& to) {
  if (from.q_down.exists()) to.latent.q_down = layout.whole(from.q_down);
  to.latent.q_down_norm = layout.vector(from.q_down_norm);
  to.latent.norm = layout.vector(from.latent_norm);
  to.wq = layout.whole(from.wq);
  to.wk = layout.whole(from.wk);
  to.wv = layout.whole(from.wv);
  to.latent.absorb = layout.heads(from.absorb, shape.n_heads);
  to.latent.raise = layout.heads(from.raise, shape.n_heads);
}

void Weights::lay_out_delta(Layout& layout, const LayerTensors& from, const DeltaNet& shape,
                            LayerWeights& to) {
  to.wq = layout.whole(from.wq);
  to.delta.decay = layout.whole(from.delta_decay);
  to.delta.rate = layout.whole(from.delta_rate);
  to.delta.conv = layout.transposed(from.delta_conv);
  to.delta.decay_bias = layout.vector(from.delta_decay_bias);
  to.delta.a = layout.vector(from.delta_a);
  to.delta.norm = layout.vector(from.delta_norm);
  const float length = std::sqrt(static_cast<float>(shape.key_dim));
  to.delta.key_norm = layout.filled(shape.key_dim, 1 / length);
  to.delta.query_norm = layout.filled(shape.key_dim, 1 / (length * length));
}

void Weights::lay_out_experts(Layout& layout, const LayerTensors& from, const LayerShape& shape,
                              LayerWeights& to) {
  to.experts_used = shape.route.used;
  to.router = layout.whole(from.router, from.router_bias);
  to.router_choice = layout.vector(from.router_choice);
  to.expert_scales = layout.vector(from.expert_scales);
  to.router_norm.weight =
      layout.vector(from.router_norm, nullptr, 1 / std::sqrt(static_cast<float>(shape.dim)));
  to.expert_norm = layout.norm(from.expert_norm, {}, shape.norm);
  to.expert_post_norm = layout.norm(from.expert_post_norm, {}, shape.norm);
  to.shared_post_norm = layout.norm(from.shared_post_norm, {}, shape.norm);
  to.gate_up =
      layout.experts({&from.gate, &from.up}, {&from.gate_biases, &from.up_biases}, shape.route.experts);
  to.down = layout.experts({&from.down}, {&from.down_biases}, shape.route.experts);
  if (shape.shared_hidden_dim == 0) return;
  if (from.shared_router.exists()) to.shared_router = layout.whole(from.shared_router);
  to.shared_gate_up = layout.pair(from.shared_gate, from.shared_up, {}, {});
  to.shared_down =
      layout.matrix(from.shared_down, {}, {}, layout.share(from.shared_down), shape.residual_scale);
}

namespace {

// What every model has, whoever read it: a matrix without rows can't be placed.
void check_complete(const ModelFile& file, const Weights* model = nullptr) {
  const auto check = [&](const Tensor& tensor, std::string_view name) {
    if (tensor.exists()) return;
    throw std::runtime_error(fmt::format("{}: {}: expected a matrix, found none",
                                         file.parts.empty() ? "model" : file.path(), name));
  };
  if (model == nullptr) {
    check(file.embedding, "embedding");
    if (file.config.causal && !file.config.shared_classifier) check(file.classifier, "classifier");
  }
  for (std::size_t i = 0; i < file.layers.size(); ++i) {
    check(file.layers[i].wq, fmt::format("layers.{}.wq", i));
    check(file.layers[i].wo, fmt::format("layers.{}.wo", i));
    check(file.layers[i].down, fmt::format("layers.{}.down", i));
  }
}

}  // namespace

Weights::Weights(const ModelFile& file, Team& team, Bf16Products bf16, const Split& split,
                 const Weights* model) {
  check_complete(file, model);
  const Plan plan{bf16, split, false, model};
  Carver sizing(nullptr);
  lay_out(file, sizing, plan, false);
  memory_ = PagedMemory(sizing.size(), "weights");
  Carver carver(memory_.data());
  const std::vector<PackJob> jobs = lay_out(file, carver, plan, true);
  pack(file, jobs, team);
}

Weights::Weights(const ModelFile& file, const std::string& packed, Bf16Products bf16, const Split& split) {
  check_complete(file);
  const Plan plan{bf16, split, true};
  Carver sizing(nullptr);
  lay_out(file, sizing, plan, false);
  packed_.emplace(packed, packed_key(file, bf16));
  packed_->expect_bytes(sizing.size());
  Carver carver(const_cast<std::byte*>(packed_->weights().data()));  // of which nothing is written
  lay_out(file, carver, plan, false);
  file.drop_pages();
}

std::int64_t Weights::bytes_per_token() const {
  std::int64_t bytes = classifier.exists() ? classifier.bytes() : 0;
  if (layer_input_matrix.exists()) bytes += layer_input_matrix.bytes();
  if (input_projection.exists()) bytes += input_projection.bytes();
  for (const LayerWeights& layer : layers) {
    for (const PackedMatrix* m :
         {&layer.wq, &layer.wk, &layer.wv, &layer.wo, &layer.input_gate, &layer.input_down, &layer.att_gate,
          &layer.delta.decay, &layer.delta.rate, &layer.latent.q_down, &layer.latent.absorb,
          &layer.latent.raise, &layer.router, &layer.shared_router, &layer.shared_gate_up,
          &layer.shared_down}) {
      if (m->exists()) bytes += m->bytes();
    }
    const int copies = layer.router.exists() ? layer.experts_used : 1;
    bytes += (layer.gate_up.matrix_bytes() + layer.down.matrix_bytes()) * copies;
  }
  return bytes;
}

}  // namespace llamajit
