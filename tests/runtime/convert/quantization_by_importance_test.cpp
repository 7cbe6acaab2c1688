// Models that are quantised with an importance matrix.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/formats/quantizer.h"
#include "runtime/convert/quantization.h"
#include "runtime/files/gguf.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/quantization_choice.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::quantization_by_importance_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A few columns matter.
ImportanceMatrix::Entry entry_of(std::size_t cols, std::int64_t matrices = 1) {
  ImportanceMatrix::Entry entry;
  for (std::size_t i = 0; i < cols * static_cast<std::size_t>(matrices); ++i) {
    entry.sums.push_back(i % 8 == 3 ? 100.0F : 1.0F);
  }
  entry.counts.assign(static_cast<std::size_t>(matrices), 512);
  return entry;
}

double error_of_column(const std::vector<float>& x, const std::vector<float>& y, std::size_t cols,
                       std::size_t each, std::size_t first) {
  double errors = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i % cols % each == first) errors += std::pow(static_cast<double>(x[i]) - y[i], 2);
  }
  return errors;
}

class QuantizeByImportance : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return directory_.path() + "/" + name; }
  Quantization quantize(const QuantizationChoices& choices, const NamedImportance* importance,
                        int threads = 2) const {
    return quantize_model(open_conversion_source(model_, std::nullopt), at("out.gguf"), choices, threads, {},
                          importance);
  }
  std::vector<float> weights_in(const std::string& name) const {
    const GgufFile file(at("out.gguf"));
    const GgufTensor& tensor = *file.find_tensor(name);
    std::vector<float> y(static_cast<std::size_t>(tensor.dims[0] * tensor.dims[1]));
    jit::dequantize_row(jit::find_ggml_format(tensor.type->name)->kind, tensor.data.data(), std::ssize(y),
                        y.data());
    return y;
  }

  TempDirectory directory_;
  CheckpointWeights weights_ = random_weights(toy_config(256, 512, 2, 4, 2, 96, 64, false), 1);
  std::string model_ = directory_.write("model.gguf", llama_gguf(weights_, kF32).content());
  NamedImportance importance_{"some.gguf",
                              {{{"blk.1.ffn_down.weight", entry_of(512)}}, {"a.txt", "b.txt"}, 7, 512}};
};

TEST_F(QuantizeByImportance, ColumnsThatMatterLoseLess) {
  const std::vector<float>& x = weights_.layers[1].down;
  for (const char* type : {"Q4_K", "IQ4_NL", "Q4_0"}) {
    quantize(choice(type, true), nullptr);
    const std::vector<float> without = weights_in("blk.1.ffn_down.weight"),
                             other = weights_in("blk.0.ffn_down.weight");
    const Quantization done = quantize(choice(type, true), &importance_);
    const std::vector<float> with = weights_in("blk.1.ffn_down.weight");
    EXPECT_LT(error_of_column(x, with, 512, 8, 3), 0.7 * error_of_column(x, without, 512, 8, 3)) << type;
    EXPECT_EQ(weights_in("blk.0.ffn_down.weight"), other) << "a tensor without an entry";
    for (const QuantizedTensor& tensor : done.tensors) {
      const bool quantised = !tensor.name.ends_with("norm.weight");
      const bool has_entry = tensor.name == "blk.1.ffn_down.weight";
      EXPECT_EQ(tensor.weighed, quantised ? std::optional<std::int64_t>(has_entry ? 1 : 0) : std::nullopt)
          << tensor.name;
    }
  }
}

TEST_F(QuantizeByImportance, ThreadsDoNotShow) {
  quantize(choice("Q3_K_M"), &importance_, 1);
  const std::string once = content_of(at("out.gguf"));
  quantize(choice("Q3_K_M"), &importance_, 5);
  EXPECT_EQ(content_of(at("out.gguf")), once);
}

TEST_F(QuantizeByImportance, SaysInTheFileWhichItWas) {
  quantize(choice("Q4_0"), &importance_);
  const GgufFile file(at("out.gguf"));
  EXPECT_EQ(file.string("quantize.imatrix.file"), "some.gguf");
  EXPECT_EQ(file.string("quantize.imatrix.dataset"), "a.txt");
  EXPECT_EQ(file.integer("quantize.imatrix.entries_count", 0, 99), 1);
  EXPECT_EQ(file.integer("quantize.imatrix.chunks_count", 0, 99), 7);
  // A later one says nothing of it.
  quantize_model(open_conversion_source(at("out.gguf"), std::nullopt), at("copy.gguf"), choice("Q4_0"), 1,
                 {});
  EXPECT_EQ(GgufFile(at("copy.gguf")).find("quantize.imatrix.file"), nullptr);
}

TEST_F(QuantizeByImportance, RefusesWhatDoesNotFit) {
  const auto refusal = [&](const std::string& name, ImportanceMatrix::Entry entry) -> std::string {
    const NamedImportance other{"other.dat", {{{name, std::move(entry)}}, {}, 7, 512}};
    try {
      quantize(choice("Q4_0"), &other);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal("blk.1.ffn_down.weight", entry_of(256)),
            "other.dat: blk.1.ffn_down.weight: expected 512 sums, one for each column of the model's tensor, "
            "found 256");
  EXPECT_THAT(refusal("blk.9.ffn_down.weight", entry_of(512)),
              AllOf(HasSubstr("other.dat: entries: expected some with names of "), HasSubstr(model_),
                    HasSubstr("found 1 others, 'blk.9.ffn_down.weight' first")));
  EXPECT_FALSE(std::filesystem::exists(at("out.gguf")));
}

// Experts' matrices lie in one tensor, each with importances of its own, or none.
TEST_F(QuantizeByImportance, ExpertsHaveTheirOwn) {
  GgufWriter w = llama_gguf(weights_, kF32);
  std::vector<float> x = weights_.layers[0].down;
  x.insert(x.end(), weights_.layers[0].down.begin(), weights_.layers[0].down.end());
  w.add_tensor("blk.0.ffn_down_exps.weight", {512, 256, 2}, kF32, encode_tensor(x, kF32));
  const std::string in = directory_.write("experts.gguf", w.content());
  const auto rows = [&](const NamedImportance* by) {
    const Quantization done = quantize_model(open_conversion_source(in, std::nullopt), at("out.gguf"),
                                             choice("Q4_K", true), 2, {}, by);
    const auto found = std::ranges::find(done.tensors, "blk.0.ffn_down_exps.weight", &QuantizedTensor::name);
    const GgufFile file(at("out.gguf"));
    const auto data = file.find_tensor("blk.0.ffn_down_exps.weight")->data;
    const std::vector<std::byte> first(data.begin(), data.begin() + std::ssize(data) / 2),
        second(data.begin() + std::ssize(data) / 2, data.end());
    return std::tuple(first, second, found->weighed, found->matrices);
  };
  ImportanceMatrix::Entry entry = entry_of(512, 2);
  entry.counts[1] = 0;  // never chosen
  const NamedImportance by{"some.gguf", {{{"blk.0.ffn_down_exps.weight", entry}}, {}, 7, 512}};
  const auto [first, second, weighed, matrices] = rows(&by);
  const auto [same, plain, unweighed, both] = rows(nullptr);
  EXPECT_EQ(weighed, 1);
  EXPECT_EQ(matrices, 2);
  EXPECT_EQ(unweighed, std::nullopt);
  EXPECT_EQ(same, plain);
  EXPECT_EQ(second, plain);
  EXPECT_NE(first, plain);
}

}  // namespace
}  // namespace llamajit::test::quantization_by_importance_test
