#include "runtime/forward/row_state.h"

#include <algorithm>

#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

RowState::RowState(const Model& model, int most_rows)
    : rows(most_rows),
      at(model.cache.kinds(), std::vector<jit::Cursor>(static_cast<std::size_t>(most_rows))) {
  if (!model.config.causal) text_ends = at;
  Carver sizing(nullptr);
  place(sizing, model);
  memory = PagedMemory(sizing.size(), "activations of several rows");
  Carver carver(memory.data());
  place(carver, model);
}

// Places all state: called once without memory to learn the size, and once with it.
void RowState::place(Carver& carver, const Model& model) {
  const Config& c = model.config;
  const auto matrix = [&](int n) {
    return carver.take<float>(jit::round_up(rows, jit::kTokenBlock) * row_stride(n));
  };
  x = matrix(c.dim);
  norm = matrix(c.dim);
  q = matrix(c.most(&LayerShape::q_dim));
  k = matrix(c.most(&LayerShape::kv_dim));
  v = matrix(c.most(&LayerShape::kv_dim));
  att = matrix(std::max(c.most(&LayerShape::attended_dim), c.most(&LayerShape::q_dim)));
  low = matrix(c.most(query_rank));
  queries = matrix(c.most(latent_queries));
  rotated_key = matrix(c.most([](const LayerShape& l) { return l.is_latent() ? l.rope.dims : 0; }));
  values = matrix(c.most(&LayerShape::latent_values));
  gate = matrix(c.most(gates));
  mixed = matrix(c.most(delta_channels));
  convolved = matrix(c.most(delta_channels));
  decay = matrix(c.most(delta_heads));
  rate = matrix(c.most(delta_heads));
  hidden = matrix(std::max(c.most(&LayerShape::hidden_dim), c.most(&LayerShape::shared_hidden_dim)));
  branch = matrix(c.dim);
  inputs = matrix(c.layer_input_dim * c.n_layers);
  projected = matrix(c.layer_input_dim * c.n_layers);
  given = matrix(c.takes_hidden ? c.dim : 0);
  joined = matrix(c.takes_hidden ? 2 * c.dim : 0);
  input_hidden = matrix(c.layer_input_dim);
  classified = carver.take<float>(kClassified * row_stride(c.dim));
  logits = carver.take<float>(kClassified * row_stride(c.vocab_size));
  best = carver.take<jit::Best>(kClassified);
  place_prepared(carver, model);
  place_experts(carver, model);
  std::int64_t scratch = 0;
  for (const auto& matrices : matrix_inputs(model.weights)) {
    for (const PackedMatrix* m : matrices) {
      if (!m->exists()) continue;
      // Which epilogue it is does not change the size, but for whether a unit has two tiles.
      const Epilogue epilogue = m->tiles_per_unit > 1 ? Epilogue::swiglu : Epilogue::store;
      scratch = std::max(
          scratch,
          jit::matmul_scratch_bytes({m->format, m->rows, m->cols, epilogue, m->affine()}, model.code.isa()));
    }
  }
  std::int64_t attention = 0;
  for (std::size_t i = 0; i < model.cache.n_layers(); ++i) {
    attention = std::max({attention, model.cache.attention_key(i).scratch_floats(),
                          model.cache.tile_key(i, 0).scratch_floats()});
  }
  matmul_scratch.clear();
  attention_scratch.clear();
  head_in.clear();
  head_out.clear();
  const auto widest = [](const LayerShape& l) {
    return std::max({l.latent.rank, l.latent.key_dim, l.latent.value_dim});
  };
  for (int t = 0; t < model.threads; ++t) {
    matmul_scratch.push_back(carver.take<std::byte>(scratch));
    attention_scratch.push_back(carver.take<float>(attention));
    head_in.push_back(matrix(c.most(widest)));
    head_out.push_back(matrix(c.most(widest)));
  }
}

// One for each way in which an input is prepared, as large as any matrix needs it.
void RowState::place_prepared(Carver& carver, const Model& model) {
  struct Sizes {
    std::int64_t codes = 0, groups = 0, subgroups = 0;  // of a row
  };
  std::vector<Sizes> sizes;
  for (const auto& matrices : matrix_inputs(model.weights)) {
    std::vector<jit::InputFormat> formats;
    for (const PackedMatrix* m : matrices) {
      if (!m->exists()) continue;
      const auto format = input_format(m->format);
      if (!format || std::ranges::count(formats, *format) > 0) continue;
      formats.push_back(*format);
      sizes.resize(std::max(sizes.size(), formats.size()));
      const PreparedStrides strides(*format, m->cols);
      Sizes& s = sizes[formats.size() - 1];
      s = {std::max(s.codes, strides.codes), std::max(s.groups, strides.groups),
           std::max(s.subgroups, strides.subgroups)};
    }
  }
  const std::int64_t padded = jit::round_up(rows, jit::kTokenBlock);
  prepared.clear();
  for (const Sizes& s : sizes) {
    prepared.push_back({carver.take<std::int8_t>(padded * s.codes), carver.take<float>(padded * s.groups),
                        carver.take<std::int32_t>(padded * s.subgroups),
                        carver.take<float>(padded * s.groups),
                        carver.take<std::int16_t>(padded * s.subgroups)});
  }
}

// As large as any layer needs it; nothing where there are no experts.
void RowState::place_experts(Carver& carver, const Model& model) {
  const Config& c = model.config;
  std::int64_t positions = 0, experts = 0, slots = 0, route = 0;
  for (std::size_t i = 0; i < model.weights.layers.size(); ++i) {
    const jit::RouteKey& key = c.layer(i).route;
    if (key.experts == 0) continue;
    positions = std::max(positions, ExpertTable::most_positions(key, rows) + jit::kMostMatvecTokens);
    experts = std::max<std::int64_t>(experts, row_stride(key.experts));
    slots = std::max<std::int64_t>(slots, key.slots());
    route = std::max(route, key.scratch_floats());
  }
  if (positions == 0) return;
  const std::int64_t padded = jit::round_up(rows, jit::kTokenBlock);
  const int longest = std::max(c.dim, c.most(&LayerShape::hidden_dim));
  router = carver.take<float>(padded * experts);
  shared_router = carver.take<float>(padded * row_stride(1));
  ids = carver.take<std::int32_t>(padded * slots);
  weights = carver.take<float>(padded * slots);
  expert_x = carver.take<float>(positions * row_stride(c.dim));
  expert_hidden = carver.take<float>(positions * row_stride(c.most(&LayerShape::hidden_dim)));
  expert_results = carver.take<float>(positions * row_stride(c.dim));
  // The shortest group, one value, is padded to four codes.
  const std::int64_t n = positions * row_stride(longest);
  expert_prepared = {carver.take<std::int8_t>(4 * n), carver.take<float>(n), carver.take<std::int32_t>(n),
                     carver.take<float>(n), carver.take<std::int16_t>(n)};
  route_scratch.clear();
  for (int t = 0; t < model.threads; ++t) route_scratch.push_back(carver.take<float>(route));
}

}  // namespace llamajit
