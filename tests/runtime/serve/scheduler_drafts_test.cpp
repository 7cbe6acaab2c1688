// Many texts at once with drafts: each has the tokens that it has alone and without.
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/draft/model_drafter.h"
#include "runtime/draft/mtp_drafter.h"
#include "runtime/draft/ngram_drafter.h"
#include "runtime/files/llama2c.h"
#include "runtime/files/model_reader.h"
#include "runtime/grammar/gbnf.h"
#include "tests/support/foreseeing_model.h"
#include "tests/support/serving.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::serve::scheduler_drafts_test {
namespace {

using test::Asked;
using ::testing::ElementsAreArray;

// Guesses from what came before and from the model itself, whose guesses are right.
class OwnDrafts : public DraftSource {
 public:
  OwnDrafts(const ModelFile& file, std::optional<int> length)
      : engine_(file, test::engine_options(1, 6)), budget_(length) {}
  std::unique_ptr<Speculation> begin_text() override {
    return std::make_unique<Speculation>(std::make_unique<NgramDrafter>(),
                                         std::make_unique<ModelDrafter>(engine_, test::kServedVocab),
                                         budget_);
  }
  DraftBudget& budget() override { return budget_; }

 private:
  Engine engine_;
  DraftBudget budget_;
};

class ServingWithDrafts : public ::testing::Test {
 protected:
  ServingWithDrafts()
      : temp_(test::write_v2(
            test::random_weights(test::toy_config(64, 96, 2, 4, 2, test::kServedVocab, 600, false), 21), 32)),
        file_(read_llama2c(temp_.path())) {}

  SchedulerOptions options(std::optional<int> length) const {
    return {.slots = 5, .most_step_ms = 1000, .make_drafts = [this, length](const Engine&) {
              return std::make_unique<OwnDrafts>(file_, length);
            }};
  }

  test::TempFile temp_;
  ModelFile file_;
};

// Asks all at once.
void expect_tokens_alone(Scheduler& scheduler, const std::vector<GenerationRequest>& requests,
                         test::Alone& alone) {
  std::vector<Asked> asked;
  for (const GenerationRequest& request : requests) {
    asked.push_back(test::ask(scheduler, test::copy_of(request)));
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_THAT(asked[i].recorder->wait(), ElementsAreArray(alone.tokens(requests[i]))) << "request " << i;
    ASSERT_EQ(asked[i].recorder->fault(), "");
  }
}

TEST_F(ServingWithDrafts, EachTextHasTheTokensThatItHasAlone) {
  test::Alone alone(file_);
  const std::vector<GenerationRequest> requests = test::some_requests(60, 7);
  for (const auto length : std::vector<std::optional<int>>{1, 4, 15, std::nullopt}) {
    SCOPED_TRACE(fmt::format("drafts of {}", length ? fmt::to_string(*length) : "as many as pay"));
    Scheduler scheduler(file_, test::engine_options(2, 8), test::kServedSpecial, options(length));
    expect_tokens_alone(scheduler, requests, alone);
    if (HasFatalFailure()) return;
    const SchedulerStats stats = scheduler.stats();
    EXPECT_LE(stats.accepted_tokens, stats.drafted_tokens);
    EXPECT_TRUE(!length || stats.accepted_tokens > 20) << stats.accepted_tokens;
  }
}

TEST_F(ServingWithDrafts, ATextAloneTakesFewerSteps) {
  Scheduler scheduler(file_, test::engine_options(1, 8), test::kServedSpecial, options(7));
  GenerationRequest request = test::request_of({5, 6, 7}, 40, {.temperature = 1, .seed = 3});
  request.ignore_eos = true;
  const Asked asked = test::ask(scheduler, std::move(request));
  EXPECT_EQ(asked.recorder->wait().size(), 40U);
  const GenerationCounts& counts = asked.recorder->counts();
  EXPECT_GT(counts.accepted_tokens, 20);
  EXPECT_LT(scheduler.stats().steps, 20U) << "one for the prompt, and fewer than tokens";
}

// It is told of one that ends in the middle of a draft, as of any.
TEST_F(ServingWithDrafts, AListenerMayEndATextAnywhere) {
  Scheduler scheduler(file_, test::engine_options(1, 8), test::kServedSpecial, options(9));
  for (int most = 1; most < 12; ++most) {
    Asked asked{std::make_shared<test::Recorder>(most)};
    GenerationRequest request = test::request_of({5, 6, 7}, 40, {.temperature = 1, .seed = 3});
    request.ignore_eos = true;
    asked = test::ask(scheduler, std::move(request), asked);
    EXPECT_EQ(std::ssize(asked.recorder->wait()), most);
    EXPECT_EQ(asked.recorder->reason(), Finish::stop);
  }
}

// No tokens but these: a grammar that asks for others can't be gone on with.
TEST_F(ServingWithDrafts, AGrammarWithoutAWayOnFailsItsTextAlone) {
  std::vector<Piece> pieces(test::kServedVocab);
  for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i].bytes = fmt::format("<{}>", i);
  const Vocab vocab(std::move(pieces));
  const auto trie = std::make_shared<const TokenTrie>(vocab);
  const auto grammar = parse_gbnf("root ::= \"<7><8><9>\" [a-z]", "test");
  Scheduler scheduler(file_, test::engine_options(1, 8), test::kServedSpecial, options(9));
  GenerationRequest constrained = test::request_of({5, 6, 7}, 40), free = test::request_of({5, 6, 8}, 40);
  constrained.constraint = std::make_unique<Constraint>(grammar, trie);
  test::Alone alone(file_);
  const test::Text expected = alone.tokens(free);
  const Asked asked = test::ask(scheduler, std::move(constrained)),
              other = test::ask(scheduler, std::move(free));
  EXPECT_THAT(asked.recorder->wait(), ElementsAreArray({7, 8, 9}));
  EXPECT_THAT(asked.recorder->fault(),
              testing::HasSubstr("expected a token of the vocabulary that can follow"));
  EXPECT_THAT(other.recorder->wait(), ElementsAreArray(expected));
}

// Throws as an engine does whose file was cut.
class Damaged : public Drafter {
 public:
  bool begin(std::span<const TokenId> text) override {
    length_ = text.size();
    return true;
  }
  std::optional<Guess> next(Foresight& /*foresight*/) override {
    if (length_ > 9) throw std::runtime_error("draft.gguf: expected the file that was opened");
    return std::nullopt;
  }

 private:
  std::size_t length_ = 0;
};

class DamagedDrafts : public DraftSource {
 public:
  std::unique_ptr<Speculation> begin_text() override {
    return std::make_unique<Speculation>(nullptr, std::make_unique<Damaged>(), budget_);
  }
  DraftBudget& budget() override { return budget_; }

 private:
  DraftBudget budget_{3};
};

TEST_F(ServingWithDrafts, AnErrorOfTheSmallerModelFailsTheTextThatItGuessesFor) {
  Scheduler scheduler(file_, test::engine_options(1, 8), test::kServedSpecial,
                      {.slots = 2, .most_step_ms = 1000, .make_drafts = [](const Engine&) {
                         return std::make_unique<DamagedDrafts>();
                       }});
  for (int i = 0; i < 2; ++i) {
    GenerationRequest request = test::request_of({5, 6, 7}, 40);
    request.ignore_eos = true;
    const Asked asked = test::ask(scheduler, std::move(request));
    EXPECT_EQ(asked.recorder->wait().size(), 7U);
    EXPECT_EQ(asked.recorder->fault(), "draft.gguf: expected the file that was opened");
  }
}

// What others write on beside it does not count its last draft again.
TEST_F(ServingWithDrafts, AcceptedTokensOfACancelledTextCountOnce) {
  Scheduler scheduler(file_, test::engine_options(1, 8), test::kServedSpecial, options(5));
  for (int i = 0; i < 4; ++i) {
    std::vector<Asked> asked;
    for (const TokenId last : {7, 8}) {
      GenerationRequest request = test::request_of({5, 6, last}, 500);
      request.ignore_eos = true;
      asked.push_back(test::ask(scheduler, std::move(request)));
    }
    asked.front().recorder->wait_for_tokens(20);
    asked.front().ticket->cancel();
    asked.front().recorder->wait();
    const GenerationCounts& counts = asked.front().recorder->counts();
    EXPECT_LE(counts.accepted_tokens, counts.drafted_tokens);
    asked.back().recorder->wait();
  }
}

// Guesses by the layer that the model brings, and from what came before where that is likelier.
class LayerDrafts : public DraftSource {
 public:
  LayerDrafts(const ModelFile& layer, const Engine& model, int length)
      : engine_(layer, {.isa = {jit::host_tiers().back()}, .sequences = 6, .model = &model}),
        budget_(length) {}
  std::unique_ptr<Speculation> begin_text() override {
    return std::make_unique<Speculation>(std::make_unique<NgramDrafter>(),
                                         std::make_unique<MtpDrafter>(engine_), budget_);
  }
  DraftBudget& budget() override { return budget_; }

 private:
  Engine engine_;
  DraftBudget budget_;
};

TEST(ServingWithOwnLayers, EachTextHasTheTokensThatItHasAlone) {
  const test::FamilyFile& family = test::family_named("glm4moe");
  Config config = test::small_config(family);
  config.vocab_size = test::kServedVocab;
  config.seq_len = 600;
  for (const bool foresees : {false, true}) {
    SCOPED_TRACE(foresees ? "drafts are right" : "drafts are seldom right");
    const test::TempFile temp(
        (foresees ? test::foreseeing_gguf(family, config, 5) : test::family_gguf(family, config, 5))
            .content());
    const ModelFile file = read_model(temp.path());
    const ModelFile layer = *read_drafting_layer(temp.path());
    const SchedulerOptions options{.slots = 5, .most_step_ms = 1000, .make_drafts = [&](const Engine& model) {
                                     return std::make_unique<LayerDrafts>(layer, model, 3);
                                   }};
    test::Alone alone(file);
    const std::vector<GenerationRequest> requests = test::some_requests(25, 9);
    Scheduler scheduler(file, test::engine_options(2, 8), test::kServedSpecial, options);
    expect_tokens_alone(scheduler, requests, alone);
    if (HasFatalFailure()) return;
    const SchedulerStats stats = scheduler.stats();
    EXPECT_GT(stats.drafted_tokens, 50U);
    EXPECT_TRUE(!foresees || stats.accepted_tokens > stats.drafted_tokens / 2) << stats.accepted_tokens;
  }
}

}  // namespace
}  // namespace llamajit::serve::scheduler_drafts_test
