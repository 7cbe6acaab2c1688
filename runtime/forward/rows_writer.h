// Writes the rows' programs of one thread: the lowering of a layer for the rows of a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "jit/kernels/embed.h"
#include "jit/kernels/epilogue.h"
#include "jit/kernels/gate.h"
#include "jit/kernels/norm.h"
#include "runtime/forward/rows_program.h"

namespace llamajit {

// The verbs are layer()'s (layer.h). Where they stand: attention in rows_attention.cpp, a delta net in
// rows_delta.cpp, experts in rows_experts.cpp, the rest in rows_program.cpp.
class RowsProgram::Writer : public Lowering {
 public:
  Writer(RowsProgram& program, const Model& model, RowState& state, int tokens, int thread)
      : Lowering(model, program.step_memory_, thread), p_(program), s_(state), tokens_(tokens) {}
  void write();

  void norm(Role role, const LayerShape& shape, const NormWeights& weights, Matrices matrices);
  void project(const LayerShape& shape, const LayerWeights& w);
  // Norms, RoPE, append and attention for this thread's heads, of which threads that share one each take some
  // of the rows; all keys first, as later rows of a run see them.
  void attend(const LayerShape& shape, const LayerWeights& weights);
  void project_delta(const LayerWeights& w);
  // Convolves, norms and recurs, a barrier between: a thread its share of key heads' and of value heads'
  // channels of all rows, then its value heads.
  void recur(const LayerShape& shape, const LayerWeights& w);
  void take_input(const LayerShape& shape, const LayerWeights& w);
  void scale_stream(const LayerShape& shape, const LayerWeights& w);
  void norm_stream(Role role, const LayerShape& shape, const NormWeights& weights);
  void hidden(const LayerShape& shape, const PackedMatrix& matrix);
  void gather_attended(const LayerShape& shape, const LayerWeights& w);
  void gather_hidden(const LayerShape& shape, const LayerWeights& w);
  float* attended(const LayerShape& shape) const { return shape.is_latent() ? s_.values : s_.att; }
  float* hidden_values() const { return s_.hidden; }
  // x += W values, of which either is normed before where there are weights for that, the values in place;
  // ends with a barrier.
  void add_branch(const BranchRoles& roles, const LayerShape& shape, const float* sub_norm, float* values,
                  const PackedMatrix& matrix, const NormWeights& post_norm);
  void experts_hidden(const LayerShape& shape, const LayerWeights& w);
  void add_experts(const LayerShape& shape, const LayerWeights& w);

 private:
  // Where ranks' parts of the values that a matrix takes alone are whole groups, nothing is gathered before add_branch(),
  // in which each rank prepares its part, and that is gathered.
  bool leave(std::vector<Split::Part> parts, const PackedMatrix& matrix);
  void prepare_left(const float* values, int n, const PackedMatrix& matrix,
                    const std::vector<Split::Part>& parts);
  // What hidden() or experts_hidden() gives.
  void add_hidden(const LayerShape& shape, const LayerWeights& w, std::vector<Spread>& spreads) const;
  static constexpr std::int64_t kFloat = sizeof(float);
  static RowMembers members(std::initializer_list<RowMembers::Pointer> pointers);
  void route(const LayerShape& shape, const LayerWeights& w);
  // Rows of x as an expert's matrix wants them, to where they stand by expert; x stands so already unless the
  // step behind the choice gathers it. Nothing where that leaves nothing to do.
  void gather(Role role, const PackedMatrix& matrix, const float* x, float* to, bool gathers);
  void multiply_chosen(Role role, const LayerShape& shape, const PackedMatrix& matrix, jit::Epilogue epilogue,
                       const float* x, float* out);
  template <class Args>
  static constexpr RowMembers::Pointer kCursor{offsetof(Args, at), sizeof(jit::Cursor)};
  void each_row(Step& step, const RowMembers& rows);
  void row_range(Step& step, const HeadShare& mine, RowMembers rows, std::size_t count_at);
  // out = the row of each token; another row is added.
  void embed(const PackedMatrix& table, float scale, jit::EmbedRow row) {
    embed(table, m_.config.dim, scale, row, s_.x);
  }
  void embed(const PackedMatrix& table, int dim, float scale, jit::EmbedRow row, float* out);
  // One vector of each row.
  void norm_rows(Role role, const jit::NormKey& key, const jit::NormArgs& args);
  // s_.norm = the norm of x, or x as it is without one, ready for the matrices; ends with a barrier.
  void norm_of(Role role, const LayerShape& shape, const NormWeights& weights, const float* x,
               Matrices matrices);
  // What multiply() takes from here on: values, and as the matrices want them.
  void prepare(const float* values, int n, Matrices matrices);
  // A part of each row's n values, in its place.
  void prepare_part(const jit::InputFormat& format, const float* values, int n, const Split::Part& part,
                    const jit::QuantizedArgs& to);
  // Of a prepared row.
  static RowMembers prepared_members(const jit::InputFormat& format, int n);
  // A thread's heads of a matrix.
  struct Rotated {
    const float* table;
    float* x;  // those of the first row
    int n;     // the matrix's row
    std::int64_t first, n_heads;
  };
  // RoPE in place, after a norm of each head if there are weights for it.
  void rotate(NormRoles roles, const LayerShape& shape, const HeadShare& mine, const NormWeights& norm,
              const Rotated& of);
  void norm_values(const LayerShape& shape, const HeadShare& mine, const LayerWeights& weights);
  void append(const LayerShape& shape, const HeadShare& mine, const float* k, const float* v);
  void attention(const LayerShape& shape, const HeadShare& mine, const float* q, float* out,
                 const float* sinks, const float* slopes);
  // Rows' values within those of a matrix that has n of them in a row: from the first row's on.
  struct RowsOf {
    float* x;
    int n;
  };
  // Queries in the latent vector's space, and in s_.k keys that are not rotated yet.
  void project_latent(const LayerShape& shape, const LayerWeights& w);
  // The heads' values out of what attention gives.
  void raise_values(const LayerShape& shape, const LayerWeights& w);
  // By this thread alone, for all rows.
  void multiply_head(Role role, const PackedMatrix& heads, std::int64_t head, const RowsOf& from,
                     const RowsOf& to);
  // n values of the thread's share of the rows, or of all rows.
  void copy_rows(const RowsOf& from, const RowsOf& to, int n);
  void copy_all_rows(const RowsOf& from, const RowsOf& to, int n);
  Step& copy(const RowsOf& from, const RowsOf& to, int n);
  static RowMembers copied(const RowsOf& from, const RowsOf& to);
  // Follows runs of rows, whatever the thread's share of these.
  void runs(Step& step, RowMembers rows, std::size_t count_at);
  // Follows all rows, since what a thread shares are the heads.
  void all_rows(Step& step, const RowMembers& rows);
  // att *= kind(gates), `n` values of each row from value number `first` on.
  Step& gate(jit::GateKind kind, int row, std::int64_t first, std::int64_t n);
  void convolve(const DeltaNet& delta, const LayerWeights& w, const Share& channels);
  void norm_keys(const LayerShape& shape, const LayerWeights& w, const Share& heads);
  void recur_head(const DeltaNet& delta, int head);
  void layer_inputs();
  // The stream of a layer that drafts: of the token's embedding and of what its row brings.
  void take_hidden();
  void classifier();

  // out = W values for all rows, with the other threads.
  void multiply(Role role, const PackedMatrix& matrix, jit::Epilogue epilogue, float* out);
  void deal(Step& step, const PackedMatrix& matrix, std::int64_t portion, const RowMembers& rows);

  // What the layer at hand gets, of the first row.
  const jit::Cursor* cursor() const { return s_.at[kind()].data(); }
  // The same for attention, which takes all positions up to its own.
  const jit::Cursor* attention_cursor() const {
    return m_.config.causal ? cursor() : s_.text_ends[kind()].data();
  }

  RowsProgram& p_;
  RowState& s_;
  int tokens_;
  ExpertTable* table_ = nullptr;           // of the layer at hand
  const float* values_ = nullptr;          // what is multiplied
  std::vector<jit::InputFormat> formats_;  // in which it lies in s_.prepared
  std::vector<Split::Part> left_;          // what leave() left; none: all is gathered
};

}  // namespace llamajit
