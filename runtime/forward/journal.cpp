#include "runtime/forward/journal.h"

#include <map>
#include <string>
#include <utility>

#include "runtime/forward/engine.h"

namespace llamajit {

void Journal::note(Entry entry, std::initializer_list<int> numbers, std::size_t more) {
  words_.reserve(words_.size() + 1 + numbers.size() + more);  // so that an entry is whole or not there
  words_.push_back(static_cast<std::int32_t>(entry));
  words_.insert(words_.end(), numbers.begin(), numbers.end());
}

void Journal::tell() {
  ranks_.tell(words_);
  words_.clear();
}

int Journal::begin() {
  note(Entry::begin, {next_});
  return next_++;
}

void Journal::drop(int sequence) {
  note(Entry::drop, {sequence});
}

void Journal::cut(int sequence, int length) {
  note(Entry::cut, {sequence, length});
}

void Journal::fork(int sequence, int to, int length) {
  note(Entry::fork, {sequence, to, length});
}

void Journal::step(const Batch& batch) {
  constexpr std::size_t kNumbersOfRow = 3;
  note(Entry::step, {static_cast<int>(batch.rows().size())}, kNumbersOfRow * batch.rows().size());
  for (const Batch::Row& row : batch.rows()) {
    words_.insert(words_.end(), {row.sequence->name().number(), row.token,
                                 (row.wants_logits ? 1 : 0) + (row.wants_hidden ? 2 : 0)});
  }
  tell();
}

void Journal::use(const Tuning& tuning) {
  note(Entry::use, {static_cast<int>(tuning.streams.size())});
  for (const auto& [kernel, streams] : tuning.streams) {
    words_.insert(words_.end(), {streams, static_cast<std::int32_t>(kernel.size())});
    words_.insert(words_.end(), kernel.begin(), kernel.end());
  }
  tell();
}

void Journal::end() {
  note(Entry::end, {});
  tell();
}

JournaledName::JournaledName(Journal* journal) : journal_(journal) {
  if (journal_ != nullptr) number_ = journal_->begin();
}

JournaledName::JournaledName(JournaledName&& other) noexcept
    : journal_(std::exchange(other.journal_, nullptr)), number_(std::exchange(other.number_, -1)) {}

JournaledName& JournaledName::operator=(JournaledName&& other) noexcept {
  std::swap(journal_, other.journal_);
  std::swap(number_, other.number_);
  return *this;
}

JournaledName::~JournaledName() {
  if (journal_ != nullptr) journal_->drop(number_);
}

void JournaledName::cut(int length) const {
  if (journal_ != nullptr) journal_->cut(number_, length);
}

void JournaledName::fork(const JournaledName& to, int length) const {
  if (journal_ != nullptr) journal_->fork(number_, to.number_, length);
}

namespace {

// The entries of one message, one number after the other.
class Numbers {
 public:
  explicit Numbers(std::span<const std::int32_t> left) : left_(left) {}
  bool empty() const { return left_.empty(); }
  int next() {
    const int number = left_.front();
    left_ = left_.subspan(1);
    return number;
  }

 private:
  std::span<const std::int32_t> left_;
};

Tuning read_tuning(Numbers& numbers) {
  Tuning tuning;
  for (int kernels = numbers.next(); kernels > 0; --kernels) {
    const int streams = numbers.next();
    std::string name(static_cast<std::size_t>(numbers.next()), ' ');
    for (char& c : name) c = static_cast<char>(numbers.next());
    tuning.streams.emplace(std::move(name), streams);
  }
  return tuning;
}

Batch read_batch(Numbers& numbers, std::map<int, Sequence>& sequences) {
  Batch batch;
  for (int rows = numbers.next(); rows > 0; --rows) {
    Sequence& sequence = sequences.at(numbers.next());
    const TokenId token = numbers.next();
    const int wants = numbers.next();
    batch.add({&sequence, token, (wants & 1) != 0, (wants & 2) != 0});
  }
  return batch;
}

}  // namespace

void follow(Engine& engine, Ranks& ranks) {
  using Entry = Journal::Entry;
  std::map<int, Sequence> sequences;
  for (;;) {
    const std::vector<std::int32_t> words = ranks.hear();
    for (Numbers numbers(words); !numbers.empty();) {
      switch (static_cast<Entry>(numbers.next())) {
        case Entry::begin:
          sequences.emplace(numbers.next(), engine.new_sequence());
          break;
        case Entry::drop:
          sequences.erase(numbers.next());
          break;
        case Entry::cut: {
          Sequence& sequence = sequences.at(numbers.next());
          sequence.cut(numbers.next());
          break;
        }
        case Entry::fork: {
          const Sequence& from = sequences.at(numbers.next());
          Sequence& to = sequences.at(numbers.next());
          to = from.fork(numbers.next());
          break;
        }
        case Entry::step:
          engine.step(read_batch(numbers, sequences), [](std::size_t, const RowOutput&) {});
          break;
        case Entry::use:
          engine.use(read_tuning(numbers));
          break;
        case Entry::end:
          return;
      }
    }
  }
}

}  // namespace llamajit
