// Layers that make a model repeat what it has read: an induction head, as trained models have them (Elhage et al., "A
// Mathematical Framework for Transformer Circuits", 2021; Olsson et al., arXiv:2209.11895), made by hand.
//
// They read and write values of their own, behind those of the model that they are put before. There each token has codes
// of 1 and -1. In the first layer three heads find, by rotation alone, the tokens one, two and three before, and write their
// codes; in the second a head finds the token three before, and writes what it knows of those before it. In the third a
// head's query is the codes of the last six tokens, and a position's key those of the six before it. Where five of these
// are the same, and of such places at the last, the head writes the code of what stands there, which the classifier makes a logit of. What has less in
// common attends to the text's first token instead, which has no code. So a text of which one token was changed is
// followed beyond that, and one that only has words in common is the model's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit {

class CopyingHeads {
 public:
  static constexpr int kLayers = 3;
  static constexpr int kHeadSize = 64;        // of the model: as many values are rotated still
  static constexpr int kWiderHeadSize = 256;  // with values behind them that are not
  static constexpr int kWiden = 4;            // so many times the model's stream

  // A token that is copied as another one.
  struct Renaming {
    std::int64_t from, to;
  };

  // Of a model whose stream has `dim` values, with rows of its embedding of these lengths.
  CopyingHeads(int dim, int heads, std::vector<double> lengths, int first_token, double theta,
               std::optional<Renaming> renaming);

  // The circuit's values in a row of a tensor of the widened model (of a vector, in its only one).
  void add_to(std::string_view tensor, std::int64_t row, std::span<float> values) const;

 private:
  void add_embedding(std::int64_t token, std::span<float> values) const;
  void add_norm(std::span<float> weights) const;
  void find_tokens_before(std::string_view part, std::int64_t row, std::span<float> values) const;
  void find_what_they_know(std::string_view part, std::int64_t row, std::span<float> values) const;
  void find_alike(std::string_view part, std::int64_t row, std::span<float> values) const;
  void remove_filler(std::string_view part, std::int64_t row, std::span<float> values) const;
  void look_back(std::string_view part, std::int64_t row, int tokens, std::span<float> values) const;

  std::vector<double> lengths_;
  int first_token_;
  double theta_;
  std::optional<Renaming> renaming_;
  double length_;  // of each token's values in the widened stream
  // Where the values of each kind begin, in blocks of 32 of their own.
  std::size_t constant_, first_, filler_, name_, before_, code_, copied_;
};

}  // namespace llamajit
