// Writes a token's programs of one thread: the lowering of a layer for a single token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "jit/kernels/matvec.h"
#include "runtime/forward/token_program.h"

namespace llamajit {

// The verbs are layer()'s (layer.h). Where they stand: attention in token_attention.cpp, what is latent of it
// in token_latent.cpp, a delta net in token_delta.cpp, experts in token_experts.cpp, the rest in token_program.cpp.
class TokenProgram::Writer : public Lowering {
 public:
  Writer(TokenProgram& program, const Model& model, int thread)
      : Lowering(model, program.step_memory_, thread),
        p_(program),
        s_(program.s_),
        scratch_(program.s_.scratch[static_cast<std::size_t>(thread)]) {}
  void write();

  void norm(Role role, const LayerShape& shape, const NormWeights& weights, Matrices /*matrices*/);
  void project(const LayerShape& shape, const LayerWeights& w);
  // Norms, RoPE, append and attention for this thread's K/V heads and the query heads that share them.
  void attend(const LayerShape& shape, const LayerWeights& weights);
  void project_delta(const LayerWeights& w);
  // Convolves, norms and recurs, a barrier between: a thread its share of key heads' and of value heads'
  // channels, then its value heads.
  void recur(const LayerShape& shape, const LayerWeights& w);
  void take_input(const LayerShape& shape, const LayerWeights& w);
  void scale_stream(const LayerShape& shape, const LayerWeights& w);
  void norm_stream(Role role, const LayerShape& shape, const NormWeights& weights);
  void hidden(const LayerShape& shape, const PackedMatrix& matrix);
  void gather_attended(const LayerShape& shape, const LayerWeights& w);
  void gather_hidden(const LayerShape& shape, const LayerWeights& w);
  float* attended(const LayerShape& shape) const { return shape.is_latent() ? s_.values : s_.att; }
  float* hidden_values() const { return s_.hidden; }
  // x += W values, of which either is normed before where there are weights for that; ends with a barrier.
  void add_branch(const BranchRoles& roles, const LayerShape& shape, const float* sub_norm,
                  const float* values, const PackedMatrix& matrix, const NormWeights& post_norm);
  // Every thread chooses for itself: that costs less than a barrier.
  void experts_hidden(const LayerShape& shape, const LayerWeights& w);
  void add_experts(const LayerShape& shape, const LayerWeights& w);

 private:
  // What hidden() or experts_hidden() gives.
  void add_hidden(const LayerShape& shape, const LayerWeights& w, std::vector<Spread>& spreads) const;
  struct ProductInput {
    const float* x;
    jit::QuantizedArgs q;
  };
  // Products with the experts of the table, one row each.
  void multiply_chosen(Role role, const LayerShape& shape, const PackedMatrix& matrix, jit::Epilogue epilogue,
                       const ProductInput& input, const ExpertProduct& product, float* out);
  // A vector that matrices are about to be multiplied with; remembers how it was last prepared.
  struct Input {
    const float* x = nullptr;
    int n = 0;
    std::optional<jit::InputFormat> prepared_for{};
  };
  struct Product {
    Role role;
    const PackedMatrix& matrix;
    float* out;
  };
  // This thread's share of the rows of all as if they were one matrix, so that the shares come out even.
  void multiply_together(std::span<const Product> products);
  // Queries in the latent vector's space, and in s_.k and s_.v what append() makes keys of.
  void project_latent(const LayerShape& shape, const LayerWeights& w);
  // The heads' values out of what attention gives.
  void raise_values(const LayerShape& shape, const LayerWeights& w);
  void multiply_head(Role role, const PackedMatrix& heads, std::int64_t head, const float* x, float* out);
  // attend() for heads that are this thread's alone.
  void attend_alone(const LayerShape& shape, const LayerWeights& weights);
  // attend() for a head that other threads attend to as well. Part 0 appends: it is the one that reads the
  // position at hand. Each part rotates the queries for itself, which costs less than a barrier.
  void attend_in_parts(const LayerShape& shape, const LayerWeights& weights);
  // q and k in place, by one thread each.
  void norm_heads_together(const LayerShape& shape, const LayerWeights& w);
  void rotate_queries(const LayerShape& shape, const LayerWeights& weights, const HeadShare& mine,
                      const float* q, float* out);
  // RoPE of heads [begin, end), after a norm of each head if there are weights for it.
  void rotate(NormRoles roles, const LayerShape& shape, const NormWeights& norm, const float* table,
              const float* x, float* out, std::pair<std::int64_t, std::int64_t> heads);
  // Rotates and appends k, and appends v.
  void append(const LayerShape& shape, const LayerWeights& weights, std::int64_t first, std::int64_t n_heads);
  // att *= the sigmoids of gates, of query heads [first, first + n).
  void gate_heads(const LayerShape& shape, std::int64_t first, std::int64_t n);
  void convolve(const DeltaNet& delta, const LayerWeights& w, const Share& channels);
  void norm_keys(const LayerShape& shape, const LayerWeights& w, Share heads);
  void feed();
  void layer_inputs();
  void classifier();

  void matvec(Role role, const PackedMatrix& matrix, Share units, jit::Epilogue epilogue, float* out);
  jit::MatvecKey matvec_key(const PackedMatrix& matrix, jit::Epilogue epilogue) const;
  void prepare(const std::optional<jit::InputFormat>& format) { prepare(format, scratch_.q); }
  void prepare(const std::optional<jit::InputFormat>& format, const jit::QuantizedArgs& to);
  // matvec() for a whole matrix, whose units are dealt out if it is large enough. Whether it is.
  bool matvec_dealt(Role role, const PackedMatrix& matrix, jit::Epilogue epilogue, float* out);

  // What the layer at hand gets.
  const jit::Cursor* cursor() const { return &p_.cursors_[kind()]; }

  TokenProgram& p_;
  const State& s_;
  const Scratch& scratch_;
  Input input_;
  ExpertTable* table_ = nullptr;  // of the layer at hand
};

}  // namespace llamajit
