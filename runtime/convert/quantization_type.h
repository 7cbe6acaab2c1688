// These are the types that `llamajit quantize` can make of a model: each says which format a tensor gets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/formats/format.h"

namespace llamajit {

// A format for all matrices, or a mix of them by the names that ggml gave its mixes. Those of formats of grids are all
// in grid_mixes.h.
enum class Mix : std::uint8_t { none, q2_k, q3_k_m, q3_k_l, q4_k_s, q4_k_m, q5_k_m, grids };

struct QuantizationType {
  std::string_view name;  // "Q4_K_M"
  jit::FormatKind kind;   // of all matrices, or of most in the mix
  Mix mix;
  std::uint32_t file_type;  // as general.file_type has it
};
// By its name, in any case. nullptr where there is none.
const QuantizationType* find_quantization_type(std::string_view name);
// Finds a format by its name alone: F32, Q4_K.
std::optional<jit::FormatKind> find_format(std::string_view name);
// Whether most or some of its matrices, as IQ3_XXS's queries, have so few bits that those weights should lose most
// which count least: llama.cpp makes no such file without an importance matrix.
bool wants_importance(const QuantizationType& type);
std::string quantization_type_names();
std::string format_names();

struct QuantizationChoices {
  const QuantizationType* type = nullptr;
  bool pure = false;  // the type's format for all matrices, embedding and classifier included
  std::optional<jit::FormatKind> output;
  std::optional<jit::FormatKind> embedding;
  bool weighed = false;                                           // by an importance matrix
  std::map<std::string, jit::FormatKind, std::less<>> by_name{};  // of single matrices, before all else
};

// The choice of a format depends on these.
struct ModelOutline {
  int n_layers = 0;
  int heads_per_kv_head = 1;
  bool has_output = true;  // a classifier of its own
};
// Whose values have an eighth of the queries' size.
bool is_llama_70b(const ModelOutline& model);

struct MatrixOutline {
  std::string_view name;  // "blk.3.ffn_down.weight"
  std::int64_t cols;
};

// 3 of "blk.3.attn_v.weight"; -1 where there is no layer.
int layer_of(std::string_view name);

struct FormatChoice {
  jit::FormatKind kind;
  // Set where `kind` stands in for this one, whose groups do not divide the rows.
  std::optional<jit::FormatKind> wanted{};
};
// Chooses for a matrix that is to be quantised, as llama.cpp does with an importance matrix and without one.
FormatChoice choose_format(const QuantizationChoices& choices, const ModelOutline& model,
                           const MatrixOutline& matrix);

// The format that the choices give this matrix, whatever the type.
std::optional<jit::FormatKind> given_format(const QuantizationChoices& choices, const ModelOutline& model,
                                            std::string_view name);

// Whether a tensor of this name and with so many dimensions is
// quantised at all. Norms, biases and small tables are not.
bool is_quantized(std::string_view name, int n_dims);

}  // namespace llamajit
