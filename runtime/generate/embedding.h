// One vector for a whole text, from the hidden states of its tokens.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "runtime/model/config.h"

namespace llamajit {

// Takes a text's hidden states, (dim) each, in the order of its tokens. Sums are of doubles in that order, so that the
// vector does not depend on the pieces in which the text was read.
class Pooler {
 public:
  Pooler(Pooling pooling, int dim);

  // Of a piece of a text, from which token on it wants hidden states; the piece's size: of none.
  std::size_t first_wanted(std::size_t piece_begin, std::size_t piece_size, std::size_t text_size) const;
  // Throws std::runtime_error if a value is no number, as where a model's weights are damaged.
  void add(std::span<const float> hidden);
  // Of at least one hidden state.
  std::vector<float> vector() const;

 private:
  Pooling pooling_;
  std::vector<double> sums_;
  std::size_t added_ = 0;
};

// x / |x|; a vector of zeros stays as it is. Of vectors made so, the scalar product is the cosine.
void normalize(std::span<float> x);

// "mean", "last", or "cls", the first token, which in encoders stands for the text. Throws std::invalid_argument.
Pooling pooling_from(const std::string& name);

}  // namespace llamajit
