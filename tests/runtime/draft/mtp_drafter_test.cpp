// Layers that models bring to draft for themselves: their logits are those of plain mathematics, and texts with their
// drafts those without.
#include "runtime/draft/mtp_drafter.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/model_reader.h"
#include "runtime/generate/generate.h"
#include "tests/support/foreseeing_model.h"
#include "tests/support/reference_model.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"

namespace llamajit::mtp_drafter_test {
namespace {

using test::family_gguf;
using test::FamilyFile;
using test::GgufWriter;
using test::small_config;
using test::TempFile;
using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Text = std::vector<TokenId>;
using Logits = std::vector<std::vector<float>>;

struct Files {
  explicit Files(const GgufWriter& writer)
      : temp(writer.content()), model(read_model(temp.path())), layer(*read_drafting_layer(temp.path())) {}
  TempFile temp;
  ModelFile model, layer;
};

// An engine of each, with keys and values in F32.
struct Engines {
  Engines(const Files& files, jit::Isa isa, int threads)
      : model(files.model, {isa, threads, 0, {jit::ElementType::f32}}),
        layer(files.layer, {.isa = isa,
                            .threads = threads,
                            .precision = {jit::ElementType::f32},
                            .sequences = 3,
                            .model = &model}) {}
  Engine model, layer;
};

jit::Isa best() {
  return {jit::host_tiers().back()};
}

std::vector<std::vector<float>> hidden_states(Engine& model, const Text& text) {
  model.sequence().cut(0);
  Batch batch;
  batch.add(model.sequence(), text, text.size(), true);
  std::vector<std::vector<float>> hidden;
  model.step(batch, [&](std::size_t, const RowOutput& output) {
    hidden.emplace_back(output.hidden.begin(), output.hidden.end());
  });
  return hidden;
}

// Of all tokens but the first: some at once, the others one by one, the last ones from the layer's own hidden states.
Logits draft_logits(const Files& files, jit::Isa isa, int threads, const Text& text, std::size_t own) {
  constexpr std::size_t kAtOnce = 6;
  Engines engines(files, isa, threads);
  std::vector<std::vector<float>> hidden = hidden_states(engines.model, text);
  Sequence sequence = engines.layer.new_sequence();
  Logits logits;
  std::vector<float> last;
  const auto see = [&](std::size_t, const RowOutput& output) {
    if (!output.logits.empty()) logits.emplace_back(output.logits.begin(), output.logits.end());
    last.assign(output.hidden.begin(), output.hidden.end());
  };
  Batch batch;
  for (std::size_t i = 1; i < text.size(); ++i) {
    const bool is_own = i + own >= text.size();
    const std::vector<float> given = is_own ? last : hidden[i - 1];
    batch.add({&sequence, text[i], true, true, is_own ? given.data() : hidden[i - 1].data()});
    if (i < kAtOnce) continue;
    engines.layer.step(batch, see);
    batch.clear();
  }
  return logits;
}

Text some_text() {
  Text text;
  for (int i = 0; i < 19; ++i) text.push_back((i * 31 + 1) % 50);
  return text;
}

std::vector<FamilyFile> drafting_files() {
  std::vector<FamilyFile> files;
  std::ranges::copy_if(test::kFamilyFiles, std::back_inserter(files),
                       [](const FamilyFile& file) { return file.later_layers > 0; });
  return files;
}

void expect_logits_of_plain_mathematics(const Files& files) {
  constexpr std::size_t kOwn = 2;
  const auto expected = test::reference_draft_logits(files.layer, files.model, some_text(), kOwn);
  const Logits logits = draft_logits(files, best(), 1, some_text(), kOwn);
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t row = 0; row < expected.size(); ++row) {
    for (std::size_t i = 0; i < expected[row].size(); ++i) {
      ASSERT_NEAR(logits[row][i], expected[row][i], 2e-4) << "row " << row << ", logit " << i;
    }
  }
}

class OwnLayers : public ::testing::TestWithParam<FamilyFile> {};

TEST_P(OwnLayers, GiveTheLogitsOfPlainMathematics) {
  expect_logits_of_plain_mathematics(Files(family_gguf(GetParam(), small_config(GetParam()), 3)));
}

TEST_P(OwnLayers, GiveTheSameBitsOnEveryTierForEveryTeam) {
  const Files files(family_gguf(GetParam(), small_config(GetParam()), 4));
  const Logits expected = draft_logits(files, {jit::Tier::scalar}, 1, some_text(), 2);
  for (const jit::Tier tier : jit::host_tiers()) {
    // What is the layer's alone is so in all families, and a sanitizer does not look at generated code.
    const bool one_is_enough = test::kSanitized || GetParam().name != "glm4moe";
    if (one_is_enough && tier != jit::host_tiers().back()) continue;
    EXPECT_EQ(draft_logits(files, {tier}, 1, some_text(), 2), expected) << to_string(tier);
  }
  EXPECT_EQ(draft_logits(files, best(), 3, some_text(), 2), expected);
}

class Likeliest : public Foresight {
 public:
  TokenId choose(std::span<float> logits) override {
    return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
  }
  bool accept(TokenId /*token*/) override { return true; }
};

void show(Drafter& drafter, Engine& model, const Text& text, std::size_t from) {
  const auto hidden = hidden_states(model, text);
  for (std::size_t i = from; i < text.size(); ++i) drafter.see(i, text[i], hidden[i]);
}

// The likeliest tokens by plain mathematics behind a text, each of the layer's own state but the first.
void expect_guesses(Drafter& drafter, const Files& files, Text text, std::size_t n) {
  Likeliest foresight;
  ASSERT_TRUE(drafter.begin(text));
  for (std::size_t own = 0; own < n; ++own) {
    const auto logits = test::reference_draft_logits(files.layer, files.model, text, own).back();
    const auto guess = drafter.next(foresight);
    ASSERT_TRUE(guess);
    EXPECT_EQ(guess->token, std::ranges::max_element(logits) - logits.begin()) << "guess " << own;
    text.push_back(guess->token);
  }
}

TEST_P(OwnLayers, GuessTheLikeliestTokensAlongAText) {
  const Files files(family_gguf(GetParam(), small_config(GetParam()), 7));
  Engines engines(files, best(), 1);
  MtpDrafter drafter(engines.layer);
  const Text text = some_text();
  const auto beginning = [&](std::size_t n) {
    return Text(text.begin(), text.begin() + static_cast<int>(n));
  };
  show(drafter, engines.model, beginning(5), 0);
  expect_guesses(drafter, files, beginning(6), 3);
  show(drafter, engines.model, beginning(7), 5);
  Text other = beginning(6);  // what came behind it was cut off
  other.insert(other.end(), {9, 7});
  show(drafter, engines.model, other, 6);
  other.push_back(3);
  expect_guesses(drafter, files, other, 2);
  show(drafter, engines.model, other, 8);
  other.push_back(4);
  expect_guesses(drafter, files, other, 1);
  other.push_back(5);
  EXPECT_FALSE(drafter.begin(other)) << "a token was not seen";
  other.pop_back();
  other.front() = 2;
  EXPECT_FALSE(drafter.begin(other)) << "another text";
  // Farther back than what waits: the layer knows the token before with the one that followed it then.
  Text back = beginning(3);
  show(drafter, engines.model, back, 2);
  back.push_back(8);
  Likeliest foresight;
  ASSERT_TRUE(drafter.begin(back));
  EXPECT_TRUE(drafter.next(foresight));
}

Generation write(Engine& engine, const SamplerOptions& sampling, const Text& prompt, int most,
                 Speculation* drafts, Text& text) {
  Sampler sampler(sampling, [&](std::span<float> x, float scale) { engine.softmax(x, scale); });
  const GenerationOptions options{
      .max_tokens = most, .ends = {.ignored = true}, .drafts = drafts, .prompt_part = 4};
  text = prompt;
  return generate(engine, sampler, prompt, options, [&](TokenId token) { text.push_back(token); });
}

// A text, and one that goes on with its beginning.
void expect_same_texts(const Files& files, const SamplerOptions& sampling, int threads, int drafted, int most,
                       DraftCounts& counts) {
  Engine plain(files.model, {.isa = best()});
  Engine engine(files.model, {.isa = best(), .threads = threads});
  Engine layer(files.layer, {.isa = best(), .threads = threads, .sequences = 2, .model = &engine});
  DraftBudget budget(drafted);
  Speculation drafts(nullptr, std::make_unique<MtpDrafter>(layer), budget);
  Text prompt = {5, 9, 6, 7, 11, 8}, expected, text;
  for (int turn = 0; turn < 2; ++turn) {
    SCOPED_TRACE(fmt::format("turn {}, seed {}, {} threads", turn, sampling.seed, threads));
    write(plain, sampling, prompt, most, nullptr, expected);
    write(engine, sampling, prompt, most, &drafts, text);
    ASSERT_THAT(text, ElementsAreArray(expected));
    EXPECT_THAT(engine.sequence().tokens(), ElementsAreArray(plain.sequence().tokens()));
    prompt.assign(text.begin(), text.begin() + 8);
    prompt.insert(prompt.end(), {12, 4});
  }
  counts = drafts.counts();
}

TEST_P(OwnLayers, LeaveTheTextAsItIs) {
  const Files files(family_gguf(GetParam(), small_config(GetParam()), 3));
  for (const int threads : {1, 2}) {
    for (const SamplerOptions& sampling :
         {SamplerOptions{.temperature = 0}, SamplerOptions{.temperature = 1, .seed = 3}}) {
      DraftCounts counts;
      expect_same_texts(files, sampling, threads, 3, 12, counts);
      EXPECT_GT(counts.drafted, 10);
    }
  }
}

std::string case_name(const testing::TestParamInfo<FamilyFile>& info) {
  return fmt::format("{}_{}", info.index, info.param.name);
}
INSTANTIATE_TEST_SUITE_P(All, OwnLayers, testing::ValuesIn(drafting_files()), case_name);

TEST(OwnLayers, AreRightWhereTheyKnowWhatTheModelSays) {
  Config config = small_config(test::family_named("glm4moe"));
  config.seq_len = 64;
  const Files files(test::foreseeing_gguf(test::family_named("glm4moe"), config, 5));
  for (const int threads : {1, 2}) {
    for (const SamplerOptions& sampling :
         {SamplerOptions{.temperature = 0}, SamplerOptions{.temperature = 0.8F, .seed = 3},
          SamplerOptions{.temperature = 1, .top_p = 0.9F, .seed = 4}}) {
      DraftCounts counts;
      expect_same_texts(files, sampling, threads, 4, 40, counts);
      EXPECT_GT(counts.accepted, counts.drafted * 9 / 10);
      EXPECT_LT(counts.steps, 24);  // of 80 tokens
    }
  }
}

// The layer takes 512 tokens at once and what is left when a draft is to begin, or some now and then.
TEST(OwnLayers, GuessAlikeHoweverALongTextCame) {
  const FamilyFile& family = test::family_named("qwen35");
  Config config = small_config(family);
  config.seq_len = 1200;
  const Files files(family_gguf(family, config, 8));
  Engines engines(files, best(), 2);
  MtpDrafter at_once(engines.layer), often(engines.layer);
  Text text;
  for (int i = 0; i < 1100; ++i) text.push_back((i * i + i / 7) % 50);
  const auto hidden = hidden_states(engines.model, text);
  Likeliest foresight;
  for (std::size_t i = 0; i < text.size(); ++i) {
    at_once.see(i, text[i], hidden[i]);
    often.see(i, text[i], hidden[i]);
    if (i % 30 != 29) continue;
    ASSERT_TRUE(often.begin(std::span(text).first(i + 2)));
    for (int guess = 0; guess < 3; ++guess) ASSERT_TRUE(often.next(foresight));
  }
  text.push_back(7);
  EXPECT_FALSE(at_once.begin(text)) << "a guess would take long";
  ASSERT_TRUE(at_once.begin(text));
  ASSERT_TRUE(often.begin(text));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(at_once.next(foresight)->token, often.next(foresight)->token);
}

// A beginning that it did not see, as another text's pages had it.
TEST(OwnLayers, BeginInTheMiddleOfAText) {
  const Files files(
      family_gguf(test::family_named("glm4moe"), small_config(test::family_named("glm4moe")), 7));
  Engines engines(files, best(), 1);
  MtpDrafter drafter(engines.layer);
  Text text = some_text();
  show(drafter, engines.model, text, 9);
  EXPECT_FALSE(drafter.begin(text)) << "all were seen";
  text.push_back(3);
  Likeliest foresight;
  ASSERT_TRUE(drafter.begin(text));
  EXPECT_TRUE(drafter.next(foresight));
  text.resize(5);
  EXPECT_FALSE(drafter.begin(text)) << "another text";
  show(drafter, engines.model, text, 2);
  text.push_back(3);
  EXPECT_TRUE(drafter.begin(text));
}

TEST(OwnLayers, MayHaveAnEmbeddingAndAClassifier) {
  const FamilyFile& family = test::family_named("glm4moe");
  const Config config = small_config(family);
  GgufWriter writer = family_gguf(family, config, 3);
  const Files without(writer);
  for (const std::string_view name : {"nextn.embed_tokens.weight", "nextn.shared_head_head.weight"}) {
    std::vector<float> weights;
    for (int i = 0; i < config.vocab_size * config.dim; ++i)
      weights.push_back(static_cast<float>(i * 7919 % 101 - 50) / 250);
    const auto u64 = [](int n) { return static_cast<std::uint64_t>(n); };
    writer.add_tensor(fmt::format("blk.{}.{}", config.n_layers, name),
                      {u64(config.dim), u64(config.vocab_size)}, test::kF32,
                      test::encode_tensor(weights, test::kF32));
    const Files files(writer);
    expect_logits_of_plain_mathematics(files);
    EXPECT_NE(draft_logits(files, best(), 1, some_text(), 2),
              draft_logits(without, best(), 1, some_text(), 2));
  }
}

TEST(OwnLayers, TakeTheModelsNormWhereTheyHaveNone) {
  const FamilyFile& family = test::family_named("deepseek2");
  GgufWriter writer = family_gguf(family, small_config(family), 3);
  writer.remove_tensor("blk.2.nextn.shared_head_norm.weight");
  expect_logits_of_plain_mathematics(Files(writer));
}

class DamagedOwnLayers : public ::testing::Test {
 protected:
  static void expect_refused(const GgufWriter& writer, const std::string& what) {
    const TempFile temp(writer.content());
    EXPECT_THAT([&] { read_drafting_layer(temp.path()); },
                ThrowsMessage<std::runtime_error>(AllOf(HasSubstr(temp.path()), HasSubstr(what))));
    EXPECT_NO_THROW(read_model(temp.path())) << "without drafts nobody looks at it";
  }
  const FamilyFile& family_ = test::family_named("glm4moe");
  const Config config_ = small_config(family_);
  const GgufWriter whole_ = family_gguf(family_, config_, 5);
};

TEST_F(DamagedOwnLayers, MissNoTensor) {
  const TempFile temp(whole_.content());
  const GgufFile file(temp.path());
  int tensors = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.starts_with("blk.2.")) continue;
    constexpr std::string_view kOptional[] = {"attn_q.bias",        "attn_k.bias",        "attn_v.bias",
                                              "attn_q_norm.weight", "attn_k_norm.weight", "head_norm.weight"};
    if (std::ranges::any_of(kOptional, [&](auto end) { return tensor.name.ends_with(end); })) continue;
    GgufWriter part = whole_;
    part.remove_tensor(tensor.name);
    expect_refused(part, fmt::format("{}: expected a tensor of this name", tensor.name));
    ++tensors;
  }
  EXPECT_GE(tensors, 16);
}

TEST_F(DamagedOwnLayers, HaveTensorsOfTheirShapesAndNoOthers) {
  const auto replaced = [&](std::string_view name, const std::vector<std::uint64_t>& dims) {
    GgufWriter writer = whole_;
    writer.remove_tensor(name);
    std::size_t n = 1;
    for (const std::uint64_t dim : dims) n *= dim;
    writer.add_tensor(name, dims, test::kF32, std::string(4 * n, '\0'));
    return writer;
  };
  const auto dim = static_cast<std::uint64_t>(config_.dim);
  for (const auto& [name, dims] : std::vector<std::pair<std::string, std::vector<std::uint64_t>>>{
           {"nextn.eh_proj.weight", {dim, dim}},
           {"nextn.enorm.weight", {2 * dim}},
           {"nextn.hnorm.weight", {dim - 1}},
           {"nextn.shared_head_norm.weight", {1}},
           {"nextn.embed_tokens.weight", {dim, 7}},
           {"nextn.shared_head_head.weight", {7, dim}},
           {"attn_q.weight", {dim, dim}}}) {
    expect_refused(replaced("blk.2." + name, dims), fmt::format("blk.2.{}: expected", name));
  }
  expect_refused(replaced("blk.2.nextn.more.weight", {dim}), "blk.2.nextn.more.weight: expected");
}

TEST_F(DamagedOwnLayers, AreNoneWhereTheFileOrTheFamilyHasNone) {
  const auto layer_of = [](const GgufWriter& writer) {
    const TempFile temp(writer.content());
    return read_drafting_layer(temp.path());
  };
  EXPECT_TRUE(layer_of(whole_));
  GgufWriter trunk = whole_;  // what is left of a file whose later layers were left out
  const TempFile temp(whole_.content());
  const GgufFile file(temp.path());
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name.starts_with("blk.2.")) trunk.remove_tensor(tensor.name);
  }
  EXPECT_FALSE(layer_of(trunk));
  EXPECT_FALSE(layer_of(family_gguf({.name = "llama"}, config_, 5)));
  FamilyFile other{.name = "llama"};
  other.later_layers = 1;
  EXPECT_FALSE(layer_of(family_gguf(other, config_, 5)));
  for (const int layers : {3, 4, 1 << 20}) {
    GgufWriter writer = whole_;
    writer.remove("glm4moe.nextn_predict_layers");
    writer.add("glm4moe.nextn_predict_layers", layers);
    EXPECT_THAT([&] { read_model(TempFile(writer.content()).path()); },
                ThrowsMessage<std::runtime_error>(HasSubstr("glm4moe.nextn_predict_layers: expected")));
    EXPECT_THAT([&] { layer_of(writer); },
                ThrowsMessage<std::runtime_error>(HasSubstr("glm4moe.nextn_predict_layers: expected")));
  }
}

TEST_F(DamagedOwnLayers, RunBesideTheirModelOnly) {
  const Files files(whole_);
  EXPECT_THAT([&] { Engine(files.layer, {.isa = best()}); },
              ThrowsMessage<std::runtime_error>(HasSubstr("layer that drafts: expected its model's engine")));
  const FamilyFile& family = test::family_named("deepseek2");
  Config config = small_config(family);
  config.dim = 96;
  const Files others(family_gguf(family, config, 3));
  Engine other(others.model, {.isa = best()});
  EXPECT_THAT([&] { Engine(files.layer, {.isa = best(), .model = &other}); },
              ThrowsMessage<std::runtime_error>(HasSubstr("expected a model of 80 values and 50 tokens")));
  Engines engines(files, best(), 1);
  for (const bool single : {true, false}) {
    EXPECT_THAT(
        [&] {
          if (single) engines.layer.feed(3, 0, true);
          if (!single) engines.layer.feed_all(some_text(), 0);
        },
        ThrowsMessage<std::runtime_error>(HasSubstr("expected the model's hidden state beside the token")));
  }
}

}  // namespace
}  // namespace llamajit::mtp_drafter_test
