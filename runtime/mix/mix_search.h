// A mix of formats for a model: what its matrices lose in each format is measured over a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/convert/tensor_quantizer.h"
#include "runtime/mix/loss_meter.h"
#include "runtime/mix/mix_choice.h"

namespace llamajit {

struct MixRequest {
  double bits = 0;  // of a weight, at most: all tensors of the file together
  std::vector<jit::FormatKind> formats{};
  QuantizationChoices fixed{};  // the embedding's and the classifier's formats, where they are given
  const NamedImportance* importance = nullptr;  // as quantize_model() takes it
};

// Matrices that get one format: a feed-forward's gate and up, whose rows are multiplied together, and in models of many
// layers those of neighbouring ones.
struct MixPart {
  std::vector<const ConversionTensor*> tensors{};
  std::vector<MixOption> options{};  // a loss is that of the part alone, all else as it was
  std::size_t chosen = 0;

  const MixOption& choice() const { return options[chosen]; }
};

class MixSearch {
 public:
  // The source must live as long. Throws std::runtime_error that names the tensor where one is quantised already, and
  // std::invalid_argument where `bits` is less than the smallest of the formats have.
  MixSearch(const ConversionSource& source, const MixRequest& request);

  // So many times measure() reads the text.
  std::size_t measurements() const;
  // Called with the tensor at hand, and how much is measured.
  using Progress = std::function<void(std::string_view tensor, std::size_t measured)>;
  void measure(const LossMeter& meter, int threads, const Progress& progress);
  void choose();

  const std::vector<MixPart>& parts() const { return parts_; }
  // The sum of what the parts lose. That of errors that are small and independent of one another is that of all together.
  double predicted_loss() const;
  // For quantize_model().
  QuantizationChoices choices() const;

 private:
  void add_options(MixPart& part) const;
  double loss_of(const MixPart& part, jit::FormatKind kind, const LossMeter& meter, int threads) const;

  const ConversionSource& source_;
  MixRequest request_;
  std::vector<MixPart> parts_;
  std::uint64_t most_bytes_ = 0;  // of the parts
};

}  // namespace llamajit
