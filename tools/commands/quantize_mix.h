// quantize --target-bits: the mix of formats that loses least of the predictions of a text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/mix/mix_search.h"

namespace llamajit::cli {

struct MixOptions {
  std::optional<double> bits;
  std::optional<std::string> text;
  std::vector<jit::FormatKind> formats{};  // none: some of all sizes
  int context = 512;
  int chunks = 4;
};

class TextMix {
 public:
  // Measures what the source's matrices lose over the text, and chooses. Says on standard error how long that takes.
  // The source, a GGUF file, and the importances must live as long. Throws as MixSearch does.
  TextMix(const ConversionSource& source, const MixOptions& options, const QuantizationChoices& fixed,
          const NamedImportance* importance, int threads);

  // For quantize_model().
  QuantizationChoices choices() const { return search_->choices(); }
  std::string as_table() const;
  // What the file that was written loses, beside what the choice was made by.
  std::string as_summary(const std::string& written) const;

 private:
  std::string text_;
  std::optional<LossMeter> meter_;
  std::optional<MixSearch> search_;
};

}  // namespace llamajit::cli
