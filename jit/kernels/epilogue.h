// Epilogues: what products do with a finished sum.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace llamajit::jit {

// What matvec does with a finished sum.
enum class Epilogue : std::uint8_t {
  store,           // out[r] = sum[r]
  add,             // out[r] += sum[r]
  swiglu,          // out[r] = silu(gate[r]) * up[r], silu(g) = g / (1 + exp(-g)) (arXiv:2002.05202)
  relu2glu,        // out[r] = (max(gate[r], 0) * max(gate[r], 0)) * up[r]
  geglu,           // out[r] = gelu(gate[r]) * up[r]
  swiglu_clamped,  // out[r] = (g / (1 + exp(-1.702 g))) * (u + 1), g = min(gate[r], 7),
                   // u = max(min(up[r], 7), -7): gpt-oss's
  gelu,   // out[r] = gelu(sum[r]), by tanh's approximation (arXiv:1606.08415): with z = sqrt(2 / pi) *
          // (s + 0.044715 s^3), s / (1 + exp(-2 z)) is s * (1 + tanh z) / 2
  relu2,  // out[r] = max(sum[r], 0) * max(sum[r], 0)
};
std::string_view to_string(Epilogue epilogue);  // "swiglu"
// Says whether a unit is a tile of one matrix, gate, and a tile of another, up; their tiles alternate.
constexpr bool is_gated(Epilogue epilogue) {
  return epilogue == Epilogue::swiglu || epilogue == Epilogue::relu2glu || epilogue == Epilogue::geglu ||
         epilogue == Epilogue::swiglu_clamped;
}

// What comes between the sum and its epilogue: sum * scale, then + bias, each rounded.
struct Affine {
  bool scale = false;  // one number for a matrix
  bool bias = false;   // one number for a row; where the epilogue is gated gate's, then up's

  int order() const { return (scale ? 1 : 0) + (bias ? 2 : 0); }
  bool operator==(const Affine& other) const { return order() == other.order(); }
  auto operator<=>(const Affine& other) const { return order() <=> other.order(); }
};

}  // namespace llamajit::jit
