// Where a token's state lies.
#include <algorithm>
#include <limits>

#include "runtime/forward/token_program.h"

namespace llamajit {

// Places all state: called once without memory to learn the size, and once with it.
TokenProgram::State TokenProgram::place(Carver& carver, const Model& model) {
  const Config& c = model.config;
  State s;
  s.x = carver.take<float>(c.dim);
  s.q = carver.take<float>(c.most(&LayerShape::q_dim));
  s.k = carver.take<float>(c.most(&LayerShape::kv_dim));
  s.v = carver.take<float>(c.most(&LayerShape::kv_dim));
  s.att = carver.take<float>(std::max(c.most(&LayerShape::attended_dim), c.most(&LayerShape::q_dim)));
  s.low = carver.take<float>(c.most(query_rank));
  s.queries = carver.take<float>(c.most(latent_queries));
  s.values = carver.take<float>(c.most(&LayerShape::latent_values));
  s.gate = carver.take<float>(c.most(gates));
  s.mixed = carver.take<float>(c.most(delta_channels));
  s.convolved = carver.take<float>(c.most(delta_channels));
  s.decay = carver.take<float>(c.most(delta_heads));
  s.rate = carver.take<float>(c.most(delta_heads));
  s.hidden = carver.take<float>(c.most(&LayerShape::hidden_dim));
  s.branch = carver.take<float>(c.dim);
  s.inputs = carver.take<float>(std::int64_t{c.layer_input_dim} * c.n_layers);
  s.projected = carver.take<float>(std::int64_t{c.layer_input_dim} * c.n_layers);
  s.input_hidden = carver.take<float>(c.layer_input_dim);
  s.logits = carver.take<float>(c.vocab_size);
  std::int64_t records = 0, rotated = 0, attention = 0;
  for (std::size_t i = 0; i < model.cache.n_layers(); ++i) {
    const LayerShape& shape = c.layer(i);
    if (attends_in_parts(model, shape)) {
      records = std::max(records, shape.n_heads * jit::attention_ranges(model.cache.context()) *
                                      jit::attention_record(shape.head_dim()));
    }
    rotated = std::max<std::int64_t>(rotated, std::int64_t{shape.group()} * shape.head_dim());
    attention = std::max(attention, model.cache.attention_key(i).scratch_floats());
  }
  place_experts(carver, c, s);
  s.records = carver.take<float>(records);
  const int longest =
      std::max({c.dim, c.most(query_rank), c.layer_input_dim, c.most(&LayerShape::attended_dim),
                c.most(&LayerShape::hidden_dim), c.most(&LayerShape::shared_hidden_dim)});
  for (int t = 0; t < model.threads; ++t) {
    Scratch& scratch = s.scratch.emplace_back();
    scratch.norm = carver.take<float>(longest);
    // The shortest group, one value, is padded to four codes.
    scratch.q = {carver.take<std::int8_t>(std::int64_t{4} * longest), carver.take<float>(longest),
                 carver.take<std::int32_t>(longest), carver.take<float>(longest),
                 carver.take<std::int16_t>(longest)};
    place_experts(carver, c, scratch);
    scratch.rotated = carver.take<float>(rotated);
    scratch.attention = carver.take<float>(attention);
    scratch.best = carver.take<jit::Best>(1);
    if (scratch.best != nullptr) *scratch.best = {-std::numeric_limits<float>::infinity(), 0};
  }
  return s;
}

// Of the widest choice of experts that a layer makes; nothing where none does.
void TokenProgram::place_experts(Carver& carver, const Config& c, State& s) {
  const int used = c.most([](const LayerShape& l) { return l.route.used; });
  if (used == 0) return;
  s.router = carver.take<float>(c.most([](const LayerShape& l) { return l.route.experts; }));
  s.shared_router = carver.take<float>(1);
  s.expert_hidden = carver.take<float>(std::int64_t{used} * c.most(&LayerShape::hidden_dim));
  s.shared_hidden = carver.take<float>(c.most(&LayerShape::shared_hidden_dim));
  s.expert_results = carver.take<float>(std::int64_t{used} * c.dim);
  s.shared_result = carver.take<float>(c.dim);
}

void TokenProgram::place_experts(Carver& carver, const Config& c, Scratch& scratch) {
  const int used = c.most([](const LayerShape& l) { return l.route.used; });
  if (used == 0) return;
  const int hidden = c.most(&LayerShape::hidden_dim);
  scratch.ids = carver.take<std::int32_t>(used);
  scratch.weights = carver.take<float>(used + 1);
  scratch.route = carver.take<float>(c.most(
      [](const LayerShape& l) { return l.has_experts() ? static_cast<int>(l.route.scratch_floats()) : 0; }));
  const auto n = std::int64_t{used} * hidden;
  scratch.expert_q = {carver.take<std::int8_t>(4 * n), carver.take<float>(n), carver.take<std::int32_t>(n),
                      carver.take<float>(n), carver.take<std::int16_t>(n)};
}

}  // namespace llamajit
