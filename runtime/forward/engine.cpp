#include "runtime/forward/engine.h"

#include <algorithm>
#include <cassert>
#include <exception>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/forward/engine_setup.h"
#include "runtime/forward/logits.h"

namespace llamajit {
namespace {

constexpr const char* kEncoder =
    "model: expected one that predicts tokens, found an encoder, which makes embeddings alone";

std::span<float> row_of(float* matrix, std::size_t row, int n) {
  return {matrix + static_cast<std::int64_t>(row) * jit::row_stride(n), static_cast<std::size_t>(n)};
}

// In the order of the rows, which all ranks know: what a sequence must be fed again, they feed it together.
std::vector<std::pair<Sequence*, int>> rows_of_each(std::span<const Batch::Row> rows) {
  std::vector<std::pair<Sequence*, int>> numbers;
  for (const Batch::Row& row : rows) {
    const auto it = std::ranges::find(numbers, row.sequence, &std::pair<Sequence*, int>::first);
    if (it == numbers.end()) {
      numbers.emplace_back(row.sequence, 1);
    } else {
      ++it->second;
    }
  }
  return numbers;
}

}  // namespace

// Where there is going to be no engine on rank 0, the others end theirs.
Engine::Engine(const ModelFile& file, const EngineOptions& options) try
    : config_(file.config),
      isa_(options.isa),
      context_(chosen_context(file, options)),
      peers_(peers_of(options)),
      journal_(journal_of(options)),
      team_(options.threads),
      weights_(packed_weights(file, team_, options, pack_ms_)),
      kv_cache_(config_, context_, {options.sequences, options.cache_positions},
                chosen_kv_type(file, options), rows_at_once(config_, context_), split_of(options),
                journal_.get()),
      rope_(context_, config_),
      tuning_(options.tuning),
      publication_(options.publication),
      sequence_(kv_cache_),
      program_(std::make_unique<Kernels>(*this)) {
  if (peers_ != nullptr) peers_->meet();
} catch (...) {
  if (const auto journal = journal_of(options)) journal->end();
  throw;
}

Engine::Kernels::Kernels(const Engine& e)
    : code(e.isa_),
      model{e.config_, e.weights_, e.kv_cache_, e.rope_, e.tuning_, code, e.threads(), e.peers()},
      token(model),
      row_state(model, rows_at_once(e.config_, e.context_)) {
  for (const int tokens : matvec_rows(e.isa_))
    rows.push_back(std::make_unique<RowsProgram>(model, row_state, tokens));
  rows.push_back(std::make_unique<RowsProgram>(model, row_state, 0));
  code.publish(e.publication_.gdb);
  publication.emplace(code, e.publication_);
  token.link();
  for (const auto& program : rows) program->link();
}

Engine::~Engine() {
  if (journal_ != nullptr) journal_->end();
}

void Engine::use(const Tuning& tuning) {
  if (journal_ != nullptr) journal_->use(tuning);
  tuning_ = tuning;
  program_ = std::make_unique<Kernels>(*this);
}

RowsProgram& Engine::rows_program(std::int64_t n) {
  const std::span counts = matvec_rows(isa_);
  const auto count = std::ranges::find_if(counts, [&](int tokens) { return tokens >= n; });
  return *program_->rows[static_cast<std::size_t>(count - counts.begin())];
}

void Engine::check_fits(const Batch& batch) const {
  if (const std::string what = misfit(batch); !what.empty()) throw std::runtime_error(what);
}

std::string Engine::misfit(const Batch& batch) const {
  for (const auto& [sequence, n] : rows_of_each(batch.rows())) {
    if (sequence->length() + n > context_) {
      return fmt::format("sequence: expected at most {} tokens (the context), found {}", context_,
                         sequence->length() + n);
    }
  }
  if (!config_.causal) {
    if (std::string what = text_misfit(batch); !what.empty()) return what;
  }
  if (config_.takes_hidden && !bring_hidden(batch)) return kNoHidden;
  for (std::size_t kind = 0; kind < kv_cache_.kinds(); ++kind) {
    if (std::string what = page_misfit(batch, kind); !what.empty()) return what;
  }
  return {};
}

// Of an encoder's step.
std::string Engine::text_misfit(const Batch& batch) {
  const std::span<const Batch::Row> rows = batch.rows();
  std::map<Sequence*, int> texts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Sequence* const sequence = rows[i].sequence;
    if (rows[i].wants_logits) return kEncoder;
    if (sequence->length() > 0) {
      return fmt::format("sequence: expected none before an encoder's text, found {} tokens",
                         sequence->length());
    }
    if ((i == 0 || rows[i - 1].sequence != sequence) && ++texts[sequence] > 1) {
      return "sequence: expected an encoder's text in one piece, found several";
    }
  }
  return {};
}

std::string Engine::page_misfit(const Batch& batch, std::size_t kind) const {
  int pages = 0;
  for (const auto& [sequence, n] : rows_of_each(batch.rows())) pages += sequence->pages_needed(kind, n);
  const PagePool& pool = kv_cache_.pool(kind);
  if (pages <= pool.free()) return {};
  const int window = kv_cache_.window(kind);
  const std::string whose = window > 0 ? fmt::format(" of layers with a window of {}", window) : "";
  return fmt::format("KV cache: expected {} free pages{}, found {} of {}", pages, whose, pool.free(),
                     pool.size());
}

// Feeds what the sequence's pages and state do not stand for yet.
void Engine::catch_up(Sequence& sequence) {
  while (sequence.seen() < sequence.length()) {
    const int pos = sequence.seen();
    const int n = std::min(sequence.length() - pos, chunk());
    sequence.make_room(n);
    point_rows(0, sequence, pos, n);
    const RowRun run_of_all{0, n, pos};
    run(rows_program(n).feed, {n, {&run_of_all, 1}}, team_);
    sequence.see(n);
  }
}

void Engine::point_rows(std::size_t first, const Sequence& sequence, int pos, int n) {
  for (std::size_t kind = 0; kind < kv_cache_.kinds(); ++kind) {
    // An encoder's token stands in the middle of its window.
    const int window = kv_cache_.window(kind);
    const int reach = window > 0 ? window / 2 : n;
    for (int i = 0; i < n; ++i) {
      const std::size_t row = first + static_cast<std::size_t>(i);
      program_->row_state.at[kind][row] = sequence.cursor(kind, pos + i);
      if (config_.causal) continue;
      jit::Cursor& seen = program_->row_state.text_ends[kind][row];
      seen = sequence.cursor(kind, pos + std::min(i + reach, n - 1));
      seen.own = pos + i;
    }
  }
}

void Engine::begin_step(Sequence& sequence, int tokens) {
  catch_up(sequence);
  sequence.begin_step(tokens);
}

void Engine::place(const Batch::Row& row) {
  assert(row.token >= 0 && row.token < config_.vocab_size);
  Sequence& sequence = *row.sequence;
  catch_up(sequence);
  const int pos = sequence.length();
  sequence.make_room(1);
  sequence.append({&row.token, 1});
  rope_.reach(pos + 1);
  const std::span<jit::Cursor> cursors = program_->token.cursors();
  for (std::size_t kind = 0; kind < cursors.size(); ++kind) cursors[kind] = sequence.cursor(kind, pos);
}

Rows Engine::place(std::span<const Batch::Row> rows) {
  // Before any is appended: of a sequence that has several runs, the first one still sees what the others do not.
  for (const auto& [sequence, n] : rows_of_each(rows)) {
    catch_up(*sequence);
    sequence->make_room(n);
  }
  std::vector<TokenId> tokens;
  runs_.clear();
  for (std::size_t i = 0; config_.takes_hidden && i < rows.size(); ++i) {
    std::copy_n(rows[i].hidden, config_.dim, row_of(program_->row_state.given, i, config_.dim).begin());
  }
  for (std::size_t i = 0; i < rows.size();) {
    Sequence& sequence = *rows[i].sequence;
    const std::size_t first = i;
    tokens.clear();
    for (; i < rows.size() && rows[i].sequence == &sequence; ++i) tokens.push_back(rows[i].token);
    const int pos = sequence.length();
    sequence.append(tokens);
    rope_.reach(sequence.length());
    runs_.push_back({static_cast<std::int64_t>(first), std::ssize(tokens), pos});
    point_rows(first, sequence, pos, static_cast<int>(tokens.size()));
  }
  return {std::ssize(rows), runs_};
}

void Engine::step(const Batch& batch, const SeeRow& see) {
  check_fits(batch);
  weights_.check_intact();
  journal_ != nullptr ? step_of_ranks(batch, see) : step_alone(batch, see);
}

// What a row's receiver throws must wait: the other ranks take the whole step. After any other failure they would wait in
// the middle of it, and take the next step's values for this one's.
void Engine::step_of_ranks(const Batch& batch, const SeeRow& see) {
  journal_->step(batch);
  std::exception_ptr thrown;
  const auto see_unless_thrown = [&](std::size_t row, const RowOutput& output) {
    if (thrown) return;
    try {
      see(row, output);
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  try {
    step_alone(batch, see_unless_thrown);
  } catch (const std::exception& error) {
    peers_->ranks.fail(error.what());
  }
  if (thrown) std::rethrow_exception(thrown);
}

void Engine::step_alone(const Batch& batch, const SeeRow& see) {
  const std::span<const Batch::Row> rows = batch.rows();
  for (const auto& [sequence, n] : rows_of_each(rows)) begin_step(*sequence, n);
  for (std::size_t first = 0, n = 0; first < rows.size(); first += n) {
    n = rows_of_step(rows.subspan(first));
    step_rows(rows.subspan(first, n), first, see);
  }
}

// Of the rows that are left, how many go through the layers together.
std::size_t Engine::rows_of_step(std::span<const Batch::Row> rows) const {
  const std::size_t most = std::min(rows.size(), static_cast<std::size_t>(chunk()));
  if (config_.causal || most == rows.size()) return most;
  std::size_t n = most;  // whole texts
  while (rows[n - 1].sequence == rows[n].sequence) --n;
  return n;
}

void Engine::step_rows(std::span<const Batch::Row> rows, std::size_t first, const SeeRow& see) {
  if (rows.size() == 1 && config_.causal && !config_.takes_hidden) {
    place(rows.front());
    run_token(rows.front().wants_logits);
    if (rows.front().wants_logits) see(first, {logits(), argmax()});
    if (!rows.front().wants_hidden) return;
    const std::span<const float> residual(program_->token.residual(), static_cast<std::size_t>(config_.dim));
    std::ranges::copy(residual, row_of(program_->row_state.x, 0, config_.dim).begin());
    return show_hidden({0}, 1, first, see);
  }
  run(rows_program(std::ssize(rows)).feed, place(rows), team_);
  RowNumbers with_logits, with_hidden;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].wants_logits) with_logits.push_back(i);
    if (rows[i].wants_hidden) with_hidden.push_back(i);
  }
  classify_rows(with_logits, first, see);
  show_hidden(with_hidden, std::ssize(rows), first, see);
}

// `wanted` are rows of the step at hand, which begins with row `first` of its batch.
void Engine::classify_rows(const RowNumbers& wanted, std::size_t first, const SeeRow& see) {
  RowState& state = program_->row_state;
  for (std::size_t begin = 0; begin < wanted.size(); begin += RowState::kClassified) {
    const std::size_t n = std::min(wanted.size() - begin, std::size_t{RowState::kClassified});
    if (n == 1) {
      classify_token(row_of(state.x, wanted[begin], config_.dim));
      see(first + wanted[begin], {logits(), argmax()});
      continue;
    }
    for (std::size_t i = 0; i < n; ++i) {
      std::ranges::copy(row_of(state.x, wanted[begin + i], config_.dim),
                        row_of(state.classified, i, config_.dim).begin());
    }
    run(rows_program(static_cast<std::int64_t>(n)).classify, {static_cast<std::int64_t>(n), {}}, team_);
    for (std::size_t i = 0; i < n; ++i) {
      const std::span<float> logits = row_of(state.logits, i, config_.vocab_size);
      spoil_overflown(row_of(state.x, wanted[begin + i], config_.dim), logits);
      see(first + wanted[begin + i], {logits, state.best[i].index});
    }
  }
}

// Of so many rows of the step at hand.
void Engine::show_hidden(const RowNumbers& wanted, std::int64_t rows, std::size_t first, const SeeRow& see) {
  if (wanted.empty()) return;
  RowState& state = program_->row_state;
  const bool norms = weights_.final_norm.exists();
  if (norms) run(rows_program(rows).final_norm, {rows, {}}, team_);
  for (const std::size_t row : wanted) {
    const std::span<float> hidden = row_of(norms ? state.norm : state.x, row, config_.dim);
    spoil_overflown(row_of(state.x, row, config_.dim), hidden);
    see(first + row, {.hidden = hidden});
  }
}

void Engine::run_token(bool logits) {
  TokenProgram& token = program_->token;
  auto job = [&](int thread) {
    run(std::as_const(token.feed), {}, thread, team_);
    if (logits) run(std::as_const(token.classify), {}, thread, team_);
  };
  team_.run(job);
  ++token.feed.walks;
  if (!logits) return;
  ++token.classify.walks;
  check_residual();
}

void Engine::check_residual() {
  TokenProgram& token = program_->token;
  spoil_overflown({token.residual(), static_cast<std::size_t>(config_.dim)}, token.logits());
}

void Engine::classify_token(std::span<const float> residual) {
  std::ranges::copy(residual, program_->token.residual());
  run(program_->token.classify, {}, team_);
  check_residual();
}

void Engine::feed(TokenId token, int pos, bool logits) {
  assert(pos >= 0 && pos <= sequence_.length() && pos < context_);
  if (!config_.causal) throw std::runtime_error(kEncoder);
  if (config_.takes_hidden) throw std::runtime_error(kNoHidden);
  sequence_.cut(pos);
  weights_.check_intact();
  if (journal_ != nullptr) {
    Batch batch;
    batch.add(sequence_, token, logits);
    return step(batch, [](std::size_t, const RowOutput&) {});
  }
  begin_step(sequence_, 1);
  place(Batch::Row{&sequence_, token, logits});
  run_token(logits);
}

void Engine::feed_each(std::span<const TokenId> tokens, int pos, std::size_t first, const SeeLogits& see) {
  assert(pos >= 0 && pos <= sequence_.length());
  if (!config_.causal) throw std::runtime_error(kEncoder);
  sequence_.cut(pos);
  Batch batch;
  batch.add(sequence_, tokens, first);
  step(batch, [&](std::size_t row, const RowOutput& row_logits) { see(row, row_logits.logits); });
}

void Engine::feed_all(std::span<const TokenId> tokens, int pos) {
  assert(!tokens.empty());
  feed_each(tokens, pos, tokens.size() - 1, [](std::size_t, std::span<const float>) {});
}

}  // namespace llamajit
