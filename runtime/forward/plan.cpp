#include "runtime/forward/plan.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <optional>

namespace llamajit {

using jit::Epilogue;
using jit::QuantizedArgs;

// What a thread computes for itself alone.
struct Plan::Scratch {
  float* norm;       // (dim), (q_dim) or (hidden_dim)
  QuantizedArgs q;   // (dim), (q_dim) or (hidden_dim)
  float* rotated;    // (group, head_dim): queries of a shared head
  float* attention;  // the kernel's scratch
  jit::Best* best;   // of its logits
};

namespace {

// A vector that matrices are about to be multiplied with; remembers how it was last prepared.
struct Input {
  const float* x;
  int n;
  std::optional<jit::InputFormat> prepared_for{};
};

// Whether an even split of the K/V heads over the threads is also one of whole tiles of q, k and v, so that
// each thread can attend with the rows that it has computed itself.
bool heads_fit_tiles(const Config& config, int threads) {
  return threads == 1 || (config.n_kv_heads % threads == 0 && config.kv_dim() / threads % jit::kLanes == 0);
}

// A portion takes a few microseconds to read, much longer than to take it from a deal; with fewer than some
// portions for each thread a deal evens nothing out.
constexpr std::int64_t kPortionBytes = 128 << 10;
constexpr std::int64_t kPortionsWorthDealing = 4;

}  // namespace

HeadShare heads_of(const Config& config, int thread, int threads) {
  const int heads = config.n_kv_heads;
  if (threads <= heads) {
    const auto [begin, end] = share_of(heads, thread, threads);
    return {begin, end, 0, 1};
  }
  int head = 0;
  while (share_of(threads, head, heads).second <= thread) ++head;
  const auto [first, last] = share_of(threads, head, heads);
  return {head, head + 1, static_cast<int>(thread - first), static_cast<int>(last - first)};
}

// Writes the programs of one thread.
class Plan::Builder {
 public:
  Builder(Plan& plan, const Weights& weights, const Tuning& tuning, jit::CodeCache& cache, int thread,
          int threads)
      : p_(plan),
        c_(plan.config_),
        w_(weights),
        tuning_(tuning),
        cache_(cache),
        thread_(thread),
        threads_(threads) {}

  void build() {
    steps_ = &p_.feed_[static_cast<std::size_t>(thread_)].steps;
    if (thread_ == 0) {
      call(jit::EmbedKey{w_.embedding.format, c_.dim}, jit::EmbedArgs{w_.embedding.data, p_.x_, p_.cursor_});
    }
    barrier();
    for (std::size_t i = 0; i < w_.layers.size(); ++i) {
      const LayerWeights& layer = w_.layers[i];
      attention(layer, static_cast<std::ptrdiff_t>(i));
      if (c_.parallel_residual) hidden(layer);
      barrier();
      add_product(layer.att_sub_norm, p_.att_, layer.wo);
      if (!c_.parallel_residual) {
        hidden(layer);
        barrier();
      }
      add_product(layer.ffn_sub_norm, p_.hidden_, layer.down);
    }
    steps_ = &p_.classify_[static_cast<std::size_t>(thread_)].steps;
    classifier();
  }

 private:
  struct Range {
    std::int64_t begin, end;
  };
  Range share(std::int64_t n) const {
    const auto [begin, end] = share_of(n, thread_, threads_);
    return {begin, end};
  }

  // att = the heads' outputs; the caller has to wait for the others.
  void attention(const LayerWeights& layer, std::ptrdiff_t index) {
    Input x = norm(layer.att_norm);
    if (heads_fit_tiles(c_, threads_)) {
      for (const auto& [matrix, out] :
           {std::pair{&layer.wq, p_.q_}, {&layer.wk, p_.k_}, {&layer.wv, p_.v_}}) {
        matvec(x, *matrix, share(matrix->units()), Epilogue::store, out);
      }
    } else {
      query_key_value_rows(x, layer);
      barrier();
    }
    attend(layer, index);
  }

  // hidden = the feed-forward's first half; the caller has to wait for the others.
  void hidden(const LayerWeights& layer) {
    Input x = norm(layer.ffn_norm);
    matvec_dealt(x, layer.gate_up, c_.activation, p_.hidden_);
  }

  // x += W values, which are normalised before if there are weights for that; ends with a barrier.
  void add_product(const float* norm_weight, const float* values, const PackedMatrix& matrix) {
    Input input{values, matrix.cols};
    if (norm_weight != nullptr) {
      call(jit::NormKey{matrix.cols, c_.norm_eps}, jit::NormArgs{values, norm_weight, scratch().norm});
      input.x = scratch().norm;
    }
    matvec_dealt(input, matrix, Epilogue::add, p_.x_);
    barrier();
  }

  // The rows of q, k and v as if they were one matrix, so that the shares come out even.
  void query_key_value_rows(Input& x, const LayerWeights& layer) {
    const auto [begin, end] = share(layer.wq.units() + layer.wk.units() + layer.wv.units());
    std::int64_t first = 0;
    for (const auto& [matrix, out] : {std::pair{&layer.wq, p_.q_}, {&layer.wk, p_.k_}, {&layer.wv, p_.v_}}) {
      const std::int64_t n = matrix->units();
      matvec(x, *matrix,
             {std::clamp(begin - first, std::int64_t{0}, n), std::clamp(end - first, std::int64_t{0}, n)},
             Epilogue::store, out);
      first += n;
    }
  }

  // RoPE, append and attention for this thread's K/V heads and the query heads that share them.
  void attend(const LayerWeights& weights, std::ptrdiff_t layer) {
    if (p_.shares_heads(threads_)) return attend_together(weights, layer);
    const HeadShare mine = heads_of(c_, thread_, threads_);
    if (mine.part > 0) return;
    const std::int64_t heads = mine.end - mine.begin;
    const std::int64_t first_query = mine.begin * group() * c_.head_dim();
    float* const q = p_.q_ + first_query;
    rotate(weights.q_norm, q, q, heads * group());
    append(weights, layer, mine.begin, heads);
    call(p_.cache_.attention_key(),
         jit::AttentionArgs{q, p_.cache_.keys(layer, mine.begin), p_.cache_.values(layer, mine.begin),
                            p_.att_ + first_query, scratch().attention, p_.cursor_, heads});
  }

  // The same for a head that other threads attend to as well. Part 0 appends: it is the one that reads the
  // position at hand. Each part rotates the queries for itself, which costs less than a barrier.
  void attend_together(const LayerWeights& weights, std::ptrdiff_t layer) {
    const HeadShare mine = heads_of(c_, thread_, threads_);
    const std::int64_t first_query = mine.begin * group();
    const std::int64_t record = jit::attention_record(c_.head_dim());
    const std::int64_t records = jit::attention_ranges(p_.cache_.positions()) * record;  // of a query head
    rotate(weights.q_norm, p_.q_ + first_query * c_.head_dim(), scratch().rotated, group());
    if (mine.part == 0) append(weights, layer, mine.begin, 1);
    call(p_.cache_.ranges_key(),
         jit::AttentionRangesArgs{scratch().rotated, p_.cache_.keys(layer, mine.begin),
                                  p_.cache_.values(layer, mine.begin), p_.records_ + first_query * records,
                                  scratch().attention, p_.cursor_, mine.part, mine.parts});
    barrier();
    const auto [begin, end] = share(c_.n_heads);
    if (begin == end) return;
    call(p_.cache_.merge_key(),
         jit::AttentionMergeArgs{p_.records_ + begin * records, p_.att_ + begin * c_.head_dim(), p_.cursor_,
                                 end - begin});
  }

  // RoPE, after a norm of each head if there are weights for it.
  void rotate(const float* norm_weight, const float* x, float* out, std::int64_t heads) {
    if (norm_weight != nullptr) {
      call(jit::NormKey{c_.head_dim(), c_.norm_eps}, jit::NormArgs{x, norm_weight, out, nullptr, heads});
      x = out;
    }
    call(jit::RopeKey{c_.head_dim()}, jit::RopeArgs{x, out, p_.rope_.data(), p_.cursor_, heads});
  }

  // Rotates and appends k, and appends v.
  void append(const LayerWeights& weights, std::ptrdiff_t layer, std::int64_t first_head,
              std::int64_t heads) {
    float* const k = p_.k_ + first_head * c_.head_dim();
    rotate(weights.k_norm, k, k, heads);
    call(p_.cache_.append_key(),
         jit::KvAppendArgs{k, p_.v_ + first_head * c_.head_dim(), p_.cache_.keys(layer, first_head),
                           p_.cache_.values(layer, first_head), p_.cursor_, heads});
  }

  int group() const { return c_.n_heads / c_.n_kv_heads; }

  void classifier() {
    Input x = norm(w_.final_norm);
    // Where a thread computes just its own share, it looks through what it has just written, still in its
    // cache.
    const bool dealt = matvec_dealt(x, w_.classifier, Epilogue::store, p_.logits_);
    if (dealt) barrier();
    const Range units = share(w_.classifier.units());
    if (units.begin == units.end) return;
    call(jit::ArgmaxKey{c_.vocab_size},
         jit::ArgmaxArgs{p_.logits_, scratch().best, units.begin * jit::kLanes,
                         std::min<std::int64_t>(units.end * jit::kLanes, c_.vocab_size)});
  }

  Input norm(const NormWeights& weights) {
    call(jit::NormKey{c_.dim, c_.norm_eps, c_.norm},
         jit::NormArgs{p_.x_, weights.weight, scratch().norm, weights.bias});
    return {scratch().norm, c_.dim};
  }

  void matvec(Input& x, const PackedMatrix& matrix, Range units, Epilogue epilogue, float* out) {
    if (units.begin == units.end) return;
    prepare(x, input_format(matrix.format));
    call(tuning_.choose(jit::MatvecKey{.format = matrix.format,
                                       .rows = matrix.rows,
                                       .cols = matrix.cols,
                                       .epilogue = epilogue,
                                       .affine = matrix.affine()},
                        cache_.isa()),
         jit::MatvecArgs{matrix.data, x.x, scratch().q, out, units.begin, units.end, matrix.scales,
                         matrix.bias});
  }

  void prepare(Input& x, const std::optional<jit::InputFormat>& input) {
    if (!input || x.prepared_for == input) return;
    const jit::QuantizeArgs args{x.x, scratch().q};
    if (input->pairs) {
      call(jit::RoundKey{x.n}, args);
    } else {
      call(jit::QuantizeKey{x.n, input->group, input->subgroup, input->zero}, args);
    }
    x.prepared_for = input;
  }

  // The same for a whole matrix, whose units are dealt out if it is large enough. Whether it is.
  bool matvec_dealt(Input& x, const PackedMatrix& matrix, Epilogue epilogue, float* out) {
    const Range units = share(matrix.units());
    const std::int64_t portion = std::max<std::int64_t>(1, kPortionBytes * matrix.units() / matrix.bytes());
    const bool dealt = threads_ > 1 && matrix.units() / threads_ >= kPortionsWorthDealing * portion;
    matvec(x, matrix, units, epilogue, out);
    if (dealt) {
      steps_->back().deal =
          &p_.deals_.try_emplace(matrix.data, matrix.units(), portion, threads_).first->second;
    }
    return dealt;
  }

  template <class Key>
  void call(const Key& key, const typename Key::Args& args) {
    steps_->push_back({&cache_.get(key).info(), p_.keep(args)});
  }

  void barrier() {
    if (threads_ > 1) steps_->push_back({});
  }

  const Scratch& scratch() const { return p_.scratch_[static_cast<std::size_t>(thread_)]; }

  Plan& p_;
  const Config& c_;
  const Weights& w_;
  const Tuning& tuning_;
  jit::CodeCache& cache_;
  int thread_;
  int threads_;
  std::vector<Step>* steps_ = nullptr;
};

Plan::Plan(const Config& config, const Weights& weights, const KvCache& kv_cache, const RopeTable& rope,
           const Tuning& tuning, jit::CodeCache& code, int threads)
    : config_(config),
      cache_(kv_cache),
      rope_(rope),
      feed_(static_cast<std::size_t>(threads)),
      classify_(static_cast<std::size_t>(threads)) {
  Carver sizing(nullptr);
  place(sizing, threads);
  memory_ = PagedMemory(sizing.size(), "activations");
  Carver carver(memory_.data());
  place(carver, threads);
  new (cursor_) jit::Cursor();
  for (int t = 0; t < threads; ++t) Builder(*this, weights, tuning, code, t, threads).build();
  softmax_ = code.get(jit::SoftmaxKey{config.vocab_size});
  softmax_step_ = {&softmax_.info(), keep(jit::SoftmaxArgs{logits_, 1.0F})};
}

Plan::~Plan() = default;

// Places all state: called once without memory to learn the size, and once with it.
void Plan::place(Carver& carver, int threads) {
  cursor_ = carver.take<jit::Cursor>(1);
  x_ = carver.take<float>(config_.dim);
  q_ = carver.take<float>(config_.q_dim());
  k_ = carver.take<float>(config_.kv_dim());
  v_ = carver.take<float>(config_.kv_dim());
  att_ = carver.take<float>(config_.q_dim());
  if (shares_heads(threads)) {
    records_ = carver.take<float>(config_.n_heads * jit::attention_ranges(cache_.positions()) *
                                  jit::attention_record(config_.head_dim()));
  }
  hidden_ = carver.take<float>(config_.hidden_dim);
  logits_ = carver.take<float>(config_.vocab_size);
  const int longest = std::max({config_.dim, config_.q_dim(), config_.hidden_dim});
  scratch_.clear();
  for (int t = 0; t < threads; ++t) {
    Scratch& s = scratch_.emplace_back();
    // The shortest group, one value, is padded to four codes.
    s.norm = carver.take<float>(longest);
    s.q = {carver.take<std::int8_t>(std::int64_t{4} * longest), carver.take<float>(longest),
           carver.take<std::int32_t>(longest), carver.take<float>(longest),
           carver.take<std::int16_t>(longest)};
    s.rotated = carver.take<float>(std::int64_t{config_.n_heads / config_.n_kv_heads} * config_.head_dim());
    s.attention = carver.take<float>(cache_.attention_key().scratch_floats());
    s.best = carver.take<jit::Best>(1);
    if (s.best != nullptr) *s.best = {-std::numeric_limits<float>::infinity(), 0};
  }
}

// A context of one range leaves nothing to share.
bool Plan::shares_heads(int threads) const {
  return threads > config_.n_kv_heads && cache_.positions() > jit::kAttentionRange;
}

void Plan::link(Step& step) {
  if (step.kernel == nullptr) return;
  step.entry = step.kernel->entry;
  step.key = step.kernel->key_address();
}

void Plan::link() {
  for (auto* programs : {&feed_, &classify_}) {
    for (Program& program : *programs) {
      for (Step& step : program.steps) link(step);
    }
  }
  link(softmax_step_);
}

void Plan::multiply_dealt(const Step& step, int thread, std::int64_t round) {
  jit::MatvecArgs args = *static_cast<const jit::MatvecArgs*>(step.args);
  for (Deal::Range units = step.deal->next(thread, round); !units.empty();
       units = step.deal->next(thread, round)) {
    args.unit_begin = units.begin;
    args.unit_end = units.end;
    step.entry(&args, step.key);
  }
}

std::int32_t Plan::argmax() const {
  // Threads' logits follow each other, so the first of equals is the earliest.
  const jit::Best* best = scratch_.front().best;
  for (const Scratch& s : scratch_) {
    if (s.best->value > best->value) best = s.best;
  }
  return best->index;
}

void Plan::softmax(std::span<float> x, float scale) const {
  assert(x.size() == static_cast<std::size_t>(config_.vocab_size));
  softmax_({x.data(), scale});
}

}  // namespace llamajit
