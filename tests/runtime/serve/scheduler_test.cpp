// Many texts at once: each has the tokens that it has alone.
#include "runtime/serve/scheduler.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/files/model_reader.h"
#include "runtime/generate/generate.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/family_writer.h"
#include "tests/support/serving.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::serve::scheduler_test {
namespace {

using test::Alone;
using test::ask;
using test::Asked;
using test::copy_of;
using test::engine_options;
using test::Recorder;
using test::request_of;
using test::some_requests;
using test::TempFile;
using test::toy_config;
using ::testing::ElementsAreArray;
using Text = std::vector<TokenId>;

constexpr int kVocab = test::kServedVocab;
const SpecialTokens& kSpecial = test::kServedSpecial;

class Serving : public ::testing::Test {
 protected:
  Serving()
      : temp_(test::write_v2(test::random_weights(toy_config(64, 96, 2, 4, 2, kVocab, 600, false), 21), 32)),
        file_(read_llama2c(temp_.path())) {}

  TempFile temp_;
  ModelFile file_;
};

void expect_the_tokens_of_texts_alone(const ModelFile& file, int threads, double most_step_ms,
                                      std::int64_t cache_positions = 0) {
  Alone alone(file);
  EngineOptions options = engine_options(threads, 8);
  options.cache_positions = cache_positions;
  Scheduler scheduler(file, options, kSpecial, {.slots = 5, .most_step_ms = most_step_ms});
  const std::vector<GenerationRequest> requests = some_requests(60, 7);
  std::vector<Asked> asked;
  for (const GenerationRequest& request : requests) asked.push_back(ask(scheduler, copy_of(request)));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_THAT(asked[i].recorder->wait(), ElementsAreArray(alone.tokens(requests[i]))) << "request " << i;
    ASSERT_EQ(asked[i].recorder->fault(), "");
  }
  EXPECT_GT(scheduler.stats().cached_tokens, 1000U) << "common beginnings were shared";
}

TEST_F(Serving, EachTextHasTheTokensThatItHasAlone) {
  for (const int threads : {1, 2}) {
    for (const double most_step_ms : {0.0, 1.0, 1000.0}) {
      SCOPED_TRACE(fmt::format("{} threads, steps of {} ms", threads, most_step_ms));
      expect_the_tokens_of_texts_alone(file_, threads, most_step_ms);
    }
  }
}

// The longest texts leave room for one other at the most.
TEST_F(Serving, TextsWaitForRoomInASmallCache) {
  for (const std::int64_t positions : {600, 700, 1000}) {
    SCOPED_TRACE(fmt::format("{} positions", positions));
    expect_the_tokens_of_texts_alone(file_, 2, 1000, positions);
  }
}

// The first one would go on for seconds, however long this thread is kept from looking.
TEST(ServingLongTexts, OneThatMayNotFitWaitsForTheOthersEnd) {
  const test::FamilyFile llama{.name = "llama"};
  const TempFile temp(
      test::family_gguf(llama, toy_config(64, 96, 2, 4, 2, kVocab, 60'000, false), 23).content());
  EngineOptions options = engine_options(1, 2);
  options.cache_positions = 64'000;
  const ModelFile file = read_model(temp.path());
  Scheduler scheduler(file, options, kSpecial, {.slots = 2, .most_step_ms = 1});
  GenerationRequest endless = request_of({5, 6}, -1);  // may take 60,000
  endless.ignore_eos = true;
  const Asked first = ask(scheduler, std::move(endless));
  first.recorder->wait_for_tokens(3);
  GenerationRequest other = request_of({8, 9}, 5'000);
  other.ignore_eos = true;
  const Asked second = ask(scheduler, std::move(other));
  first.recorder->wait_for_tokens(20);
  EXPECT_EQ(scheduler.stats().at_work, 1);
  EXPECT_EQ(scheduler.stats().waiting, 1);
  first.ticket->cancel();
  second.recorder->wait_for_tokens(3);
  second.ticket->cancel();
  second.recorder->wait();
  EXPECT_EQ(second.recorder->fault(), "");
}

TEST(ServingHybrids, EachTextHasTheTokensThatItHasAlone) {
  const test::FamilyFile& family = *std::ranges::find(test::kFamilyFiles, "qwen35", &test::FamilyFile::name);
  const TempFile temp(family_gguf(family, toy_config(64, 96, 5, 4, 2, kVocab, 600, false), 22).content());
  expect_the_tokens_of_texts_alone(read_model(temp.path()), 2, 1.0);
}

TEST(ServingWindows, EachTextHasTheTokensThatItHasAlone) {
  const TempFile temp(
      test::family_gguf({.name = "llama"}, toy_config(64, 96, 4, 4, 2, kVocab, 600, false), 24).content());
  ModelFile file = read_model(temp.path());
  file.config.layers.assign(4, file.config);
  file.config.layers[0].window = 40;
  file.config.layers[2].window = 300;
  expect_the_tokens_of_texts_alone(file, 2, 1.0);
}

TEST_F(Serving, ACommonBeginningIsComputedOnce) {
  Scheduler scheduler(file_, engine_options(1, 10), kSpecial, {.slots = 8, .most_step_ms = 1});
  Text common(200, 5);
  std::vector<WaitingRequest> requests;
  std::vector<Asked> asked(8);
  for (int i = 0; i < 8; ++i) {
    Text prompt = common;
    prompt.insert(prompt.end(), {10 + i, 20, 30});
    requests.push_back({request_of(prompt, 4), asked[static_cast<std::size_t>(i)].recorder,
                        asked[static_cast<std::size_t>(i)].ticket, Clock::now()});
  }
  ASSERT_EQ(scheduler.submit(std::move(requests)), Scheduler::Answer::taken);
  for (Asked& one : asked) one.recorder->wait();
  EXPECT_EQ(asked[0].recorder->counts().cached_tokens, 0);
  for (std::size_t i = 1; i < 8; ++i) EXPECT_EQ(asked[i].recorder->counts().cached_tokens, 200);
}

TEST_F(Serving, ACancelledTextEndsAndLeavesTheOthersAsTheyAre) {
  Alone alone(file_);
  Scheduler scheduler(file_, engine_options(1, 4), kSpecial, {.slots = 2, .most_step_ms = 1});
  const GenerationRequest kept = request_of({5, 6, 7}, 40);
  const Asked first = ask(scheduler, copy_of(kept));
  GenerationRequest endless = request_of({8, 9}, -1);
  endless.ignore_eos = true;
  Asked second;
  second.recorder->cancel_at(3, second.ticket);
  ask(scheduler, std::move(endless), second);
  const Asked third = ask(scheduler, request_of({8, 9}, 5));  // has no place yet
  second.recorder->wait();
  EXPECT_EQ(second.recorder->reason(), Finish::cancelled);
  third.ticket->cancel();
  EXPECT_THAT(first.recorder->wait(), ElementsAreArray(alone.tokens(kept)));
}

TEST_F(Serving, TheContextAndTheLimitEndTexts) {
  Scheduler scheduler(file_, engine_options(1, 2), kSpecial, {.slots = 1, .most_step_ms = 1});
  GenerationRequest endless = request_of(Text(590, 5), -1);
  endless.ignore_eos = true;
  const Asked one = ask(scheduler, std::move(endless));
  EXPECT_EQ(one.recorder->wait().size(), 11U) << "the last one is not fed";
  EXPECT_EQ(one.recorder->reason(), Finish::length);
  const Asked none = ask(scheduler, request_of({5, 6}, 0));
  EXPECT_EQ(none.recorder->wait().size(), 0U);
  EXPECT_EQ(none.recorder->reason(), Finish::length);
}

TEST_F(Serving, TheListenerEndsATextAndTooManyAreRefused) {
  Scheduler scheduler(file_, engine_options(1, 2), kSpecial,
                      {.slots = 1, .most_step_ms = 1, .most_waiting = 2});
  Asked three;
  three.recorder = std::make_shared<Recorder>(3);
  GenerationRequest endless = request_of({5, 6}, -1);
  endless.ignore_eos = true;
  ask(scheduler, std::move(endless), three);
  EXPECT_EQ(three.recorder->wait().size(), 3U);
  EXPECT_EQ(three.recorder->reason(), Finish::stop);
  std::vector<WaitingRequest> many;
  for (int i = 0; i < 3; ++i) {
    many.push_back(
        {request_of({5}, 1), std::make_shared<Recorder>(), std::make_shared<Ticket>(), Clock::now()});
  }
  EXPECT_EQ(scheduler.submit(std::move(many)), Scheduler::Answer::full);
  scheduler.drain();
  EXPECT_EQ(scheduler.submit({}), Scheduler::Answer::draining);
}

TEST_F(Serving, LogprobsAreThoseOfTheModel) {
  Scheduler scheduler(file_, engine_options(2, 2), kSpecial, {.slots = 1, .most_step_ms = 1});
  GenerationRequest request = request_of({5, 6, 7}, 6, {.temperature = 0.7F, .seed = 3});
  request.top_logprobs = 2;
  const Asked asked = ask(scheduler, std::move(request));
  const Text text = asked.recorder->wait();
  Engine engine(file_, {.isa = {jit::host_tiers().back()}});
  Text fed{5, 6, 7};
  for (std::size_t i = 0; i < text.size(); ++i) {
    engine.feed_all(fed, 0);
    double sum = 0;
    for (const float x : engine.logits()) sum += std::exp(static_cast<double>(x));
    const double expected = engine.logits()[static_cast<std::size_t>(text[i])] - std::log(sum);
    EXPECT_NEAR(asked.recorder->logprobs()[i], expected, 1e-5);
    fed.push_back(text[i]);
  }
}

GenerationRequest embedding_of(const Text& text, Pooling pooling) {
  GenerationRequest request = request_of(text, 0);
  request.pooling = pooling;
  request.reuse_prefix = false;
  return request;
}

std::vector<float> embedded_alone(Engine& engine, const Text& text, Pooling pooling) {
  Pooler pooler(pooling, engine.config().dim);
  Sequence sequence = engine.new_sequence();
  Batch batch;
  batch.add_hidden(sequence, text, pooler.first_wanted(0, text.size(), text.size()));
  engine.step(batch, [&](std::size_t, const RowOutput& output) { pooler.add(output.hidden); });
  return pooler.vector();
}

TEST_F(Serving, EmbeddingsAreThoseOfTextsAloneWhateverIsWrittenBesideThem) {
  Engine engine(file_, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  Alone alone(file_);
  Scheduler scheduler(file_, engine_options(2, 8), kSpecial, {.slots = 5, .most_step_ms = 1});
  const std::vector<GenerationRequest> requests = some_requests(40, 9);
  constexpr Pooling kPoolings[] = {Pooling::mean, Pooling::last, Pooling::first};
  std::vector<Asked> written, embedded;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    written.push_back(ask(scheduler, copy_of(requests[i])));
    embedded.push_back(ask(scheduler, embedding_of(requests[i].prompt, kPoolings[i % 3])));
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_THAT(written[i].recorder->wait(), ElementsAreArray(alone.tokens(requests[i]))) << "request " << i;
    embedded[i].recorder->wait();
    ASSERT_EQ(embedded[i].recorder->reason(), Finish::length);
    ASSERT_EQ(embedded[i].recorder->embedding(), embedded_alone(engine, requests[i].prompt, kPoolings[i % 3]))
        << "request " << i;
  }
}

// An encoder's texts are never cut, however little a step should take.
TEST(ServingEncoders, EmbeddingsAreThoseOfTextsAlone) {
  const test::FamilyFile& bert = test::kEncoderFiles[0];
  Config config = small_config(bert);
  config.seq_len = 200;
  const TempFile temp(family_gguf(bert, config, 21).content());
  const ModelFile file = read_model(temp.path());
  Engine engine(file, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  Scheduler scheduler(file, engine_options(2, 8), kSpecial, {.slots = 5, .most_step_ms = 0.01});
  std::mt19937 random(3);
  constexpr Pooling kPoolings[] = {Pooling::mean, Pooling::last, Pooling::first};
  std::vector<Text> texts;
  std::vector<Asked> asked;
  for (std::size_t i = 0; i < 40; ++i) {
    Text text;
    for (auto n = 1 + random() % 200; n > 0; --n) text.push_back(static_cast<TokenId>(random() % 50));
    asked.push_back(ask(scheduler, embedding_of(text, kPoolings[i % 3])));
    texts.push_back(std::move(text));
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    asked[i].recorder->wait();
    ASSERT_EQ(asked[i].recorder->fault(), "");
    ASSERT_EQ(asked[i].recorder->reason(), Finish::length);
    ASSERT_EQ(asked[i].recorder->embedding(), embedded_alone(engine, texts[i], kPoolings[i % 3]))
        << "text " << i;
  }
}

// As a job does that has more texts than the line has places.
TEST_F(Serving, AListenerAsksForTheNextOfItsTexts) {
  Scheduler scheduler(file_, engine_options(1, 2), kSpecial,
                      {.slots = 1, .most_step_ms = 1, .most_waiting = 1});
  class Chain : public Listener {
   public:
    Chain(Scheduler& to, std::shared_ptr<Recorder> last, int left)
        : scheduler_(to), last_(std::move(last)), left_(left) {}
    bool take(const Chosen&) override { return true; }
    void finish(Finish, const GenerationCounts&) override {
      std::shared_ptr<Listener> next = last_;
      if (left_ > 1) next = std::make_shared<Chain>(scheduler_, last_, left_ - 1);
      scheduler_.submit_next({request_of({5, 6}, 1), next, std::make_shared<Ticket>(), Clock::now()});
    }
    void fail(const std::string& what) override { last_->fail(what); }

   private:
    Scheduler& scheduler_;
    std::shared_ptr<Recorder> last_;
    int left_;
  };
  const auto last = std::make_shared<Recorder>();
  std::vector<WaitingRequest> first;
  first.push_back({request_of({5, 6}, 1), std::make_shared<Chain>(scheduler, last, 20),
                   std::make_shared<Ticket>(), Clock::now()});
  ASSERT_EQ(scheduler.submit(std::move(first)), Scheduler::Answer::taken);
  scheduler.drain();  // what belongs to it is gone on with
  EXPECT_EQ(last->wait().size(), 1U);
  EXPECT_GE(scheduler.stats().requests, 20U) << "the last one may not be counted yet";
}

TEST(WaitingLine, ServesSharesInTurn) {
  WaitingLine line;
  for (const char* share : {"a", "a", "b", "a"}) {
    GenerationRequest request;
    request.share = share;
    line.add({std::move(request), nullptr, std::make_shared<Ticket>(), Clock::now()});
  }
  std::map<std::string, int> at_work;
  std::string order;
  while (!line.empty()) {
    order += line.take(at_work).request.share;
    ++at_work[order.substr(order.size() - 1)];
  }
  EXPECT_EQ(order, "abaa");
}

TEST(StepBudget, KeepsStepsWithinTheirTime) {
  StepBudget budget(100, 512);
  const auto took = [](int tokens) { return 20.0 + 2.0 * tokens; };
  for (int i = 0; i < 30; ++i) {
    budget.learn(0, took(0));
    const int n = budget.prompt_tokens();
    budget.learn(n, took(n));
  }
  EXPECT_EQ(budget.prompt_tokens(), 40);
  StepBudget slow(1, 512);
  slow.learn(0, 50);
  slow.learn(8, 100);
  EXPECT_EQ(slow.prompt_tokens(), StepBudget::kLeast);
}

}  // namespace
}  // namespace llamajit::serve::scheduler_test
