// Models into other formats: which, how exactly, and what is refused.
#include "runtime/convert/quantization.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <random>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/formats/quantizer.h"
#include "runtime/files/gguf_model.h"
#include "runtime/files/gguf_tokenizer.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/quantization_choice.h"
#include "tests/support/sanitized.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::quantization_test {
namespace {

using jit::FormatKind;
using ::testing::HasSubstr;

// --- which format ---

FormatKind chosen(std::string_view type, const ModelOutline& model, std::string_view name,
                  std::int64_t cols = 4096) {
  return choose_format(choice(type), model, {name, cols}).kind;
}

TEST(ChoiceOfFormats, MixesAreLlamaCpps) {
  const ModelOutline llama7b{32, 1, true};
  for (int i = 0; i < 32; ++i) {
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}.weight", i, part); };
    const bool more = i < 4 || i >= 28 || (i - 4) % 3 == 2;
    EXPECT_EQ(chosen("Q4_K_M", llama7b, name("attn_v")), more ? FormatKind::q6_k : FormatKind::q4_k) << i;
    EXPECT_EQ(chosen("Q4_K_M", llama7b, name("ffn_down")), more ? FormatKind::q6_k : FormatKind::q4_k) << i;
    EXPECT_EQ(chosen("Q5_K_M", llama7b, name("ffn_down")), more ? FormatKind::q6_k : FormatKind::q5_k) << i;
    EXPECT_EQ(chosen("Q4_K_S", llama7b, name("attn_v")), i < 4 ? FormatKind::q5_k : FormatKind::q4_k) << i;
    EXPECT_EQ(chosen("Q4_K_S", llama7b, name("ffn_down")), i < 4 ? FormatKind::q5_k : FormatKind::q4_k) << i;
    EXPECT_EQ(chosen("Q3_K_M", llama7b, name("attn_v")), i < 2 ? FormatKind::q5_k : FormatKind::q4_k) << i;
    EXPECT_EQ(chosen("Q3_K_M", llama7b, name("ffn_down")), i < 2 ? FormatKind::q5_k : FormatKind::q4_k) << i;
    EXPECT_EQ(chosen("Q3_K_M", llama7b, name("attn_output")), FormatKind::q4_k);
    EXPECT_EQ(chosen("Q3_K_L", llama7b, name("attn_output")), FormatKind::q5_k);
    EXPECT_EQ(chosen("Q3_K_S", llama7b, name("attn_v")), FormatKind::q3_k);
    EXPECT_EQ(chosen("Q2_K", llama7b, name("attn_v")), FormatKind::q3_k);
    EXPECT_EQ(chosen("Q2_K", llama7b, name("ffn_up")), FormatKind::q2_k);
    EXPECT_EQ(chosen("IQ4_XS", llama7b, name("ffn_down")), i < 4 ? FormatKind::q5_k : FormatKind::iq4_xs)
        << i;
    EXPECT_EQ(chosen("Q4_0", llama7b, name("ffn_down")), FormatKind::q4_0);
    for (const char* down : {"ffn_down_exps", "ffn_down_shexp"}) {
      EXPECT_EQ(chosen("Q4_K_M", llama7b, name(down)), chosen("Q4_K_M", llama7b, name("ffn_down"))) << i;
    }
  }
  EXPECT_EQ(chosen("Q2_K", {32, 4, true}, "blk.9.attn_v.weight"), FormatKind::q4_k);
  EXPECT_EQ(chosen("Q3_K_S", {80, 8, true}, "blk.9.attn_v.weight"), FormatKind::q5_k);
  for (const std::string_view type : {"Q4_0", "Q2_K", "IQ4_NL", "TQ2_0", "Q6_K", "Q1_0"}) {
    EXPECT_EQ(chosen(type, llama7b, "output.weight"), FormatKind::q6_k) << type;
    EXPECT_EQ(chosen(type, {32, 1, false}, "token_embd.weight"), FormatKind::q6_k) << type;
  }
  EXPECT_EQ(chosen("Q8_0", llama7b, "output.weight"), FormatKind::q8_0);
  EXPECT_EQ(chosen("F16", llama7b, "output.weight"), FormatKind::f16);
  EXPECT_EQ(chosen("Q2_K", llama7b, "token_embd.weight"), FormatKind::q2_k);
  EXPECT_EQ(chosen("TQ1_0", llama7b, "token_embd.weight"), FormatKind::q4_k);
}

// Of the first layers' down, whose errors an importance matrix makes harmless in the one case and not in the other.
TEST(ChoiceOfFormats, MixesWithAnImportanceMatrixAreLlamaCpps) {
  const ModelOutline llama7b{32, 1, true};
  const std::tuple<std::string_view, FormatKind, FormatKind> cases[] = {
      {"Q4_0", FormatKind::q4_1, FormatKind::q4_0},       {"Q5_0", FormatKind::q5_1, FormatKind::q5_0},
      {"Q4_1", FormatKind::q4_1, FormatKind::q4_1},       {"IQ4_XS", FormatKind::iq4_xs, FormatKind::iq4_xs},
      {"IQ4_NL", FormatKind::iq4_nl, FormatKind::iq4_nl}, {"Q4_K_S", FormatKind::q5_k, FormatKind::q4_k},
  };
  for (const auto& [type, first, last] : cases) {
    QuantizationChoices choices = choice(type);
    choices.weighed = true;
    EXPECT_EQ(choose_format(choices, llama7b, {"blk.3.ffn_down.weight", 4096}).kind, first) << type;
    EXPECT_EQ(choose_format(choices, llama7b, {"blk.4.ffn_down.weight", 4096}).kind, last) << type;
    choices.pure = true;
    EXPECT_EQ(choose_format(choices, llama7b, {"blk.3.ffn_down.weight", 4096}).kind, choices.type->kind)
        << type;
  }
}

// Of most matrices, token_embd, output, attn_v, attn_v of many heads, attn_q, attn_output, and ffn_down of the first
// and a middle layer.
TEST(ChoiceOfFormats, MixesOfGridFormatsAreLlamaCpps) {
  const std::pair<std::string_view, std::string_view> mixes[] = {
      {"IQ1_S", "IQ1_S Q2_K Q5_K Q2_K Q4_K IQ1_S IQ2_XXS Q2_K IQ1_S"},
      {"IQ1_M", "IQ1_M Q2_K Q5_K Q2_K Q4_K IQ1_M IQ2_XXS Q2_K IQ1_M"},
      {"IQ2_XXS", "IQ2_XXS Q2_K Q5_K Q2_K Q4_K IQ2_XXS IQ2_XXS Q2_K IQ2_XXS"},
      {"IQ2_XS", "IQ2_XS Q2_K Q5_K Q2_K Q4_K IQ2_XS IQ2_XS Q2_K IQ2_XS"},
      {"IQ2_S", "IQ2_XS IQ3_S Q5_K IQ3_S Q4_K IQ2_XS IQ3_S IQ3_S IQ2_XS"},
      {"IQ2_M", "IQ2_S IQ3_S Q5_K IQ3_S Q4_K IQ2_S IQ3_S IQ3_S IQ2_S"},
      {"IQ3_XXS", "IQ3_XXS IQ3_S Q5_K IQ3_S Q4_K IQ2_S IQ3_S Q4_K Q3_K"},
      {"IQ3_XS", "IQ3_XXS IQ3_S Q6_K IQ3_S Q4_K IQ3_XXS IQ3_S IQ3_S IQ3_S"},
      {"IQ3_S", "IQ3_S IQ3_S Q6_K IQ3_S Q4_K IQ3_S IQ3_S IQ3_S IQ3_S"},
      {"IQ3_M", "IQ3_S IQ3_S Q6_K Q4_K Q4_K IQ3_S Q4_K Q4_K IQ3_S"},
  };
  const ModelOutline model{32, 1, true}, shared{32, 4, true};
  for (const auto& [type, expected] : mixes) {
    std::vector<std::string_view> found;
    const auto add = [&, type = type](const ModelOutline& of, std::string_view name) {
      found.push_back(jit::ggml_name(chosen(type, of, name)));
    };
    add(model, "blk.9.ffn_up.weight");
    for (const char* name : {"token_embd.weight", "output.weight", "blk.9.attn_v.weight"}) add(model, name);
    add(shared, "blk.9.attn_v.weight");
    for (const char* name : {"blk.9.attn_q.weight", "blk.9.attn_output.weight", "blk.3.ffn_down.weight",
                             "blk.4.ffn_down_exps.weight"}) {
      add(model, name);
    }
    EXPECT_EQ(fmt::format("{}", fmt::join(found, " ")), expected) << type;
    EXPECT_EQ(chosen(type, {32, 1, false}, "token_embd.weight"), chosen(type, model, "output.weight"))
        << type;
  }
  for (const int layer : {0, 3, 28}) {
    EXPECT_EQ(chosen("IQ3_XS", model, fmt::format("blk.{}.ffn_gate.weight", layer)), FormatKind::iq3_s);
  }
  EXPECT_EQ(chosen("IQ3_M", model, "blk.9.attn_qkv.weight"), FormatKind::q4_k);
  EXPECT_EQ(chosen("IQ2_M", model, "blk.9.attn_qkv.weight"), FormatKind::iq2_s);
  EXPECT_EQ(chosen("IQ3_S", {80, 8, true}, "blk.9.attn_v.weight"), FormatKind::q5_k);
  EXPECT_EQ(chosen("IQ2_S", {80, 8, true}, "blk.9.attn_v.weight"), FormatKind::q4_k);
  QuantizationChoices weighed = choice("IQ3_XXS");
  weighed.weighed = true;
  for (const char* name : {"blk.9.attn_v.weight", "blk.3.ffn_down.weight", "blk.4.ffn_down.weight"}) {
    EXPECT_EQ(choose_format(weighed, model, {name, 4096}).kind, FormatKind::iq3_xxs) << name;
  }
}

TEST(ChoiceOfFormats, PureAndOwnChoicesGoFirst) {
  const ModelOutline tied{32, 1, false};
  EXPECT_EQ(choose_format(choice("Q4_K", true), tied, {"token_embd.weight", 256}).kind, FormatKind::q4_k);
  QuantizationChoices choices = choice("Q4_K_M");
  choices.output = FormatKind::q8_0;
  EXPECT_EQ(choose_format(choices, tied, {"token_embd.weight", 256}).kind, FormatKind::q8_0);
  choices.embedding = FormatKind::f16;
  EXPECT_EQ(choose_format(choices, tied, {"token_embd.weight", 256}).kind, FormatKind::f16);
  EXPECT_EQ(choose_format(choices, {32, 1, true}, {"output.weight", 256}).kind, FormatKind::q8_0);
  EXPECT_EQ(choose_format(choices, tied, {"blk.9.ffn_up.weight", 256}).kind, FormatKind::q4_k);
}

TEST(ChoiceOfFormats, RowsThatGroupsDoNotDivideGetAnother) {
  const std::tuple<std::string_view, std::int64_t, FormatKind> cases[] = {
      {"Q4_K", 288, FormatKind::q5_0},    {"Q5_K", 288, FormatKind::q5_1},
      {"Q6_K", 288, FormatKind::q8_0},    {"Q2_K", 288, FormatKind::q4_0},
      {"Q3_K_S", 288, FormatKind::q4_0},  {"IQ4_XS", 288, FormatKind::iq4_nl},
      {"IQ1_M", 288, FormatKind::iq4_nl}, {"IQ2_S", 288, FormatKind::iq4_nl},
      {"IQ3_S", 288, FormatKind::iq4_nl}, {"IQ2_S", 256, FormatKind::iq2_s},
      {"TQ1_0", 288, FormatKind::q4_0},   {"TQ2_0", 288, FormatKind::q4_0},
      {"Q1_0", 64, FormatKind::q4_0},     {"Q2_0", 96, FormatKind::q4_0},
      {"I2_S", 64, FormatKind::q4_0},     {"Q4_K", 172, FormatKind::f16},
      {"Q4_0", 172, FormatKind::f16},     {"Q8_0", 16, FormatKind::f16},
      {"Q8_0", 32, FormatKind::q8_0},     {"F32", 3, FormatKind::f32},
      {"BF16", 5, FormatKind::bf16},      {"Q1_0", 128, FormatKind::q1_0},
  };
  for (const auto& [type, cols, expected] : cases) {
    const FormatChoice found = choose_format(choice(type, true), {4, 1, true}, {"blk.1.attn_q.weight", cols});
    EXPECT_EQ(found.kind, expected) << type << ", " << cols;
    EXPECT_EQ(found.wanted.has_value(), expected != choice(type).type->kind) << type << ", " << cols;
  }
}

TEST(ChoiceOfFormats, OnlyMatricesAreQuantised) {
  EXPECT_TRUE(is_quantized("blk.0.attn_q.weight", 2));
  EXPECT_TRUE(is_quantized("token_embd.weight", 2));
  EXPECT_FALSE(is_quantized("blk.0.attn_norm.weight", 1));
  EXPECT_FALSE(is_quantized("blk.0.attn_q_norm.weight", 2));
  EXPECT_FALSE(is_quantized("blk.0.attn_q.bias", 1));
  EXPECT_FALSE(is_quantized("rope_freqs.weight", 1));
  for (const char* kept :
       {"blk.0.ssm_conv1d.weight", "blk.0.ffn_gate_inp.weight", "blk.0.ffn_up_exps.bias"}) {
    EXPECT_FALSE(is_quantized(kept, 2)) << kept;
  }
}

TEST(ChoiceOfFormats, NamesInAnyCase) {
  EXPECT_EQ(find_quantization_type("q4_k_m"), find_quantization_type("Q4_K_M"));
  EXPECT_EQ(find_quantization_type("Q4_K_X"), nullptr);
  EXPECT_EQ(find_quantization_type(""), nullptr);
  EXPECT_EQ(find_format("q4_k"), FormatKind::q4_k);
  EXPECT_EQ(find_format("Q4_K_M"), std::nullopt);
  for (const jit::FormatTraits& traits : jit::all_format_traits()) {
    EXPECT_EQ(find_format(traits.name), traits.kind);
  }
}

// --- whole files ---

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class QuantizeModel : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return directory_.path() + "/" + name; }
  Quantization quantize(const std::string& in, const QuantizationChoices& choices, int threads = 2) const {
    return quantize_model(open_conversion_source(in, std::nullopt), at("out.gguf"), choices, threads, {});
  }
  void expect_refusal(const std::string& in, const QuantizationChoices& choices,
                      const std::vector<std::string>& parts) const {
    try {
      quantize(in, choices);
      FAIL() << "nothing was refused";
    } catch (const std::runtime_error& error) {
      for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
    }
    EXPECT_FALSE(std::filesystem::exists(at("out.gguf")));
  }

  TempDirectory directory_;
  CheckpointWeights weights_ = random_weights(toy_config(256, 512, 2, 4, 2, 96, 64, false), 1);
  std::string model_ = directory_.write("model.gguf", llama_gguf(weights_, kF32).content());
};

TEST_F(QuantizeModel, EveryTypeIsReadAsItsWeights) {
  std::set<std::string_view> seen, expected;
  int n_types = 0;
  for (const jit::FormatTraits& traits : jit::all_format_traits()) {
    if (kSanitized && n_types++ % 3 != 0) continue;
    expected.insert(traits.name);
    const Quantization done = quantize(model_, choice(traits.name, true));
    const GgufFile file(at("out.gguf"));
    EXPECT_EQ(std::filesystem::file_size(at("out.gguf")), done.file_bytes);
    ASSERT_EQ(file.tensors().size(), done.tensors.size());
    const GgufTensor& tensor = *file.find_tensor("blk.1.ffn_down.weight");
    EXPECT_EQ(tensor.type->name, traits.name);
    EXPECT_EQ(tensor.dims, (std::array<std::int64_t, 4>{512, 256, 1, 1}));
    const std::vector<float>& x = weights_.layers[1].down;
    std::vector<float> y(x.size());
    float scale = 0;
    if (traits.kind == FormatKind::i2_s) std::memcpy(&scale, tensor.data.data() + x.size() / 4, sizeof scale);
    constexpr std::int64_t kCols = 512;
    for (std::int64_t row = 0; row < std::ssize(x) / kCols; ++row) {
      jit::dequantize_row(traits.kind, tensor.data.data() + row * jit::row_bytes(traits.kind, kCols), kCols,
                          &y[static_cast<std::size_t>(row * kCols)], scale);
    }
    double errors = 0, squares = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      errors += std::pow(static_cast<double>(x[i]) - y[i], 2);
      squares += std::pow(static_cast<double>(x[i]), 2);
    }
    const auto reported = std::ranges::find(done.tensors, "blk.1.ffn_down.weight", &QuantizedTensor::name);
    EXPECT_EQ(reported->to, traits.name);
    EXPECT_EQ(reported->bytes, tensor.data.size());
    EXPECT_NEAR(reported->rms_error, std::sqrt(errors / static_cast<double>(x.size())), 1e-9);
    EXPECT_NEAR(reported->relative_error, std::sqrt(errors / squares), 1e-6);
    EXPECT_LT(reported->relative_error, 0.65);
    seen.insert(reported->to);
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(QuantizeModel, NormsStayAsTheyAre) {
  quantize(model_, choice("Q4_0"));
  const GgufFile before(model_), after(at("out.gguf"));
  for (const char* name : {"blk.0.attn_norm.weight", "output_norm.weight"}) {
    EXPECT_EQ(after.find_tensor(name)->type->name, "F32");
    EXPECT_TRUE(std::ranges::equal(after.find_tensor(name)->data, before.find_tensor(name)->data));
  }
}

TEST_F(QuantizeModel, ThreadsDoNotShow) {
  for (const char* type : {"Q4_K_M", "I2_S", "IQ2_M", "IQ1_M"}) {
    quantize(model_, choice(type), 1);
    const std::string once = content_of(at("out.gguf"));
    quantize(model_, choice(type), 5);
    EXPECT_EQ(content_of(at("out.gguf")), once) << type;
  }
}

TEST_F(QuantizeModel, FloatsOfEveryWidthAreRead) {
  for (const std::uint32_t type : {kF16, kBf16}) {
    const std::string in = directory_.write("half.gguf", llama_gguf(weights_, type).content());
    const Quantization done = quantize(in, choice("Q8_0"));
    EXPECT_EQ(done.tensors.front().from, type == kF16 ? "F16" : "BF16");
    EXPECT_LT(done.tensors.front().relative_error, 0.01);
    // A tensor that has the format already is copied.
    const Quantization copied = quantize(in, choice(type == kF16 ? "F16" : "BF16"));
    EXPECT_EQ(copied.tensors.front().relative_error, 0);
    // And widened exactly.
    EXPECT_EQ(quantize(in, choice("F32")).tensors.front().relative_error, 0);
  }
}

TEST_F(QuantizeModel, KeysAreCopiedButThoseOfTheFile) {
  GgufWriter w = llama_gguf(weights_, kF32);
  add_llama_tokenizer(w, alphabet());
  w.add("general.file_type", 0);
  w.add("split.count", 0);
  w.add("general.name", "toy");
  w.alignment = 64;
  quantize(directory_.write("keys.gguf", w.content()), choice("Q5_K_S"));
  const GgufFile file(at("out.gguf"));
  EXPECT_EQ(file.integer("general.file_type", 0, 99), 16);
  EXPECT_EQ(file.integer("general.quantization_version", 0, 99), 2);
  EXPECT_EQ(file.find("split.count"), nullptr);
  EXPECT_EQ(file.find("general.alignment"), nullptr);
  EXPECT_EQ(file.string("general.name"), "toy");
  EXPECT_EQ(read_gguf_tokenizer(file)->vocab().size(), kAlphabetSize);
}

// All three versions of a checkpoint, with the tokenizer put in.
TEST_F(QuantizeModel, Llama2cCheckpointsBecomeModels) {
  const std::string tokenizer = directory_.write("tokenizer.bin", tokenizer_file(alphabet()));
  for (const bool shared : {false, true}) {
    const CheckpointWeights weights =
        random_weights(toy_config(64, 128, 2, 4, 2, kAlphabetSize, 64, shared), 2);
    for (const std::string& content : {write_v0(weights), write_v1(weights), write_v2(weights, 32)}) {
      const std::string in = directory_.write("model.bin", content);
      quantize_model(open_conversion_source(in, tokenizer), at("out.gguf"), choice("F32"), 2, {});
      const auto vocabulary = read_gguf_tokenizer(GgufFile(at("out.gguf")));
      EXPECT_EQ(vocabulary->vocab().size(), kAlphabetSize);
      EXPECT_EQ(vocabulary->encode("ab"), (std::vector<TokenId>{1, 3, 4, 5}));
      const ModelFile model = read_gguf_model(GgufFile(at("out.gguf")));
      EXPECT_EQ(model.config.shared_classifier, shared);
      EXPECT_EQ(model.config.n_kv_heads, 2);
      EXPECT_EQ(model.config.seq_len, 64);
      // v2 has codes, whose values come out exactly.
      float up = 0;
      std::memcpy(&up, model.layers[1].up.data.data(), sizeof up);
      EXPECT_NEAR(up, weights.layers[1].up[0], 0.02);
      EXPECT_EQ(model.layers[1].up.rows, 128);
    }
  }
}

TEST_F(QuantizeModel, RefusesToWriteOverTheModel) {
  const std::string before = content_of(model_);
  const ConversionSource source = open_conversion_source(model_, std::nullopt);
  const std::string link = at("link.gguf");
  std::filesystem::create_symlink(model_, link);
  for (const std::string& out : {model_, directory_.path() + "/./model.gguf", link}) {
    EXPECT_THROW(quantize_model(source, out, choice("Q4_0"), 1, {}), std::runtime_error) << out;
  }
  EXPECT_EQ(content_of(model_), before);
}

TEST_F(QuantizeModel, RefusesWhatIsQuantisedAlready) {
  const std::string in = directory_.write("q8.gguf", llama_gguf(weights_, kQ8_0).content());
  expect_refusal(in, choice("Q4_0"), {in, "token_embd.weight", "F32, F16 or BF16", "found Q8_0"});
  EXPECT_EQ(quantize(in, choice("Q8_0")).tensors.front().to, "Q8_0");  // a copy
}

TEST_F(QuantizeModel, RefusesWeightsThatAreNoNumbers) {
  weights_.layers[1].wk[3 * 256 + 5] = std::numeric_limits<float>::quiet_NaN();
  const std::string in = directory_.write("nan.gguf", llama_gguf(weights_, kF32).content());
  int n_types = 0;
  for (const jit::FormatTraits& traits : jit::all_format_traits()) {
    if (kSanitized && n_types++ % 3 != 1) continue;
    expect_refusal(in, choice(traits.name, true),
                   {in, "blk.1.attn_k.weight", "finite weights", "nan at (3, 5)"});
  }
  weights_.layers[1].wk[3 * 256 + 5] = 1e6F;
  const std::string large = directory_.write("large.gguf", llama_gguf(weights_, kF32).content());
  expect_refusal(large, choice("F16"), {large, "blk.1.attn_k.weight", "F16's range", "1000000 at (3, 5)"});
  weights_.layers[1].wk[3 * 256 + 5] = 1e30F;
  const std::string huge = directory_.write("huge.gguf", llama_gguf(weights_, kF32).content());
  for (const char* type : {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"}) {
    expect_refusal(huge, choice(type, true),
                   {huge, "blk.1.attn_k.weight", fmt::format("{}'s range", type), "1e+30 at (3, 5)"});
  }
  quantize(large, choice("BF16"));
}

TEST_F(QuantizeModel, RefusesNormsThatAreNoNumbersThoughItCopiesThem) {
  weights_.layers[1].ffn_norm[5] = std::numeric_limits<float>::infinity();
  const std::string in = directory_.write("inf.gguf", llama_gguf(weights_, kF32).content());
  expect_refusal(in, choice("Q4_0"), {in, "blk.1.ffn_norm.weight", "finite weights", "inf at (0, 5)"});
}

TEST_F(QuantizeModel, TellsHowFarItIs) {
  std::vector<double> parts;
  quantize_model(open_conversion_source(model_, std::nullopt), at("out.gguf"), choice("Q4_0"), 1,
                 [&](std::string_view tensor, double done) {
                   EXPECT_FALSE(tensor.empty());
                   parts.push_back(done);
                 });
  EXPECT_TRUE(std::ranges::is_sorted(parts));
  EXPECT_EQ(parts.back(), 1.0);
}

}  // namespace
}  // namespace llamajit::test::quantization_test
