#include "runtime/measure/kernel_bench.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <tuple>

#include <fmt/format.h>

#include "jit/code/code_cache.h"
#include "jit/formats/packing.h"
#include "jit/formats/quantizer.h"
#include "runtime/base/clock.h"
#include "runtime/base/memory.h"
#include "runtime/base/team.h"
#include "runtime/forward/tuning.h"
#include "runtime/measure/limits.h"

namespace llamajit {
namespace {

using jit::kLanes;
using jit::row_stride;

std::vector<float> random_floats(std::int64_t n, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<std::size_t>(n));
  for (float& value : out) value = normal(random);
  return out;
}

// A packed tile of random weights.
std::vector<std::byte> random_tile(jit::Format format, int cols, std::mt19937& random) {
  const bool pairs = format.kind == jit::FormatKind::bf16_pairs;
  const jit::Format stored = pairs ? jit::Format{jit::FormatKind::bf16, 0} : format;
  const std::int64_t row_bytes = jit::row_bytes(stored.kind, cols);
  constexpr float kTensorScale = 1.0F;  // I2_S's
  std::vector<std::byte> rows(static_cast<std::size_t>(row_bytes * kLanes));
  for (int row = 0; row < kLanes; ++row) {
    jit::quantize_row(stored.kind, random_floats(cols, random).data(), cols, rows.data() + row * row_bytes,
                      kTensorScale);
  }
  std::vector<std::byte> tile(static_cast<std::size_t>(jit::tile_bytes(format, cols)));
  const jit::SourceMatrix source{stored, kLanes, cols, rows, std::as_bytes(std::span(&kTensorScale, 1))};
  pairs ? jit::pack_tile_as_pairs(source, 0, tile.data()) : jit::pack_tile(source, 0, tile.data());
  return tile;
}

// What all matrices are multiplied with: random activations of some tokens, prepared as the format wants
// them, and where results go.
class Vectors {
 public:
  Vectors(const ProductShape& shape, std::int64_t tokens, std::mt19937& random) {
    const std::optional<jit::InputFormat> input = input_format(shape.format);
    x_ = random_floats(tokens * row_stride(shape.cols), random);
    out_.resize(static_cast<std::size_t>(tokens * row_stride(shape.rows)));
    if (!input) return;
    const std::int64_t codes = jit::prepared_stride(input->codes_bytes(shape.cols));
    const std::int64_t groups = input->groups(shape.cols), subgroups = input->subgroups(shape.cols);
    codes_ = PagedMemory(static_cast<std::size_t>(tokens * codes), "codes");
    scales_.resize(static_cast<std::size_t>(tokens * groups));
    offsets_.resize(static_cast<std::size_t>(tokens * subgroups));
    sums_.resize(static_cast<std::size_t>(tokens * groups));
    subsums_.resize(static_cast<std::size_t>(tokens * subgroups));
    for (std::int64_t t = 0; t < tokens; ++t) {
      const jit::QuantizeArgs args{
          x_.data() + t * row_stride(shape.cols),
          {prepared() + t * codes, scales_.data() + t * groups, offsets_.data() + t * subgroups,
           sums_.data() + t * groups, subsums_.data() + t * subgroups}};
      if (input->pairs) {
        jit::run_reference(jit::RoundKey{shape.cols}, &args);
      } else {
        jit::run_reference(jit::QuantizeKey{shape.cols, input->group, input->subgroup, input->zero}, &args);
      }
    }
  }

  // The Args of a product with the matrix at `w`.
  template <class Args>
  Args args(const std::byte* w) {
    Args args{};
    args.w = w;
    args.x = x_.data();
    args.xq = {prepared(), scales_.data(), offsets_.data(), sums_.data(), subsums_.data()};
    args.out = out_.data();
    return args;
  }

 private:
  std::int8_t* prepared() const { return reinterpret_cast<std::int8_t*>(codes_.data()); }

  std::vector<float> x_, out_;
  PagedMemory codes_;  // in whole cache lines, as an engine's
  std::vector<float> scales_, sums_;
  std::vector<std::int32_t> offsets_;
  std::vector<std::int16_t> subsums_;
};

// All that a bench's rounds share.
class Bench {
 public:
  Bench(const ProductShape& shape, const KernelBenchOptions& options)
      : shape_(shape),
        options_(options),
        units_(jit::divide_up(shape.rows, kLanes)),
        matrix_bytes_(jit::packed_bytes(shape.format, shape.rows, shape.cols)),
        matrices_(options.weight_bytes / matrix_bytes_ + 1),
        weights_(static_cast<std::size_t>(matrices_ * matrix_bytes_), "weights"),
        team_(options.threads),
        code_(options.isa),
        vectors_(shape, jit::round_up(shape.tokens, jit::kTokenBlock), random_) {
    fill_weights();
    generate();
  }

  KernelBench run(const std::function<void()>& progress) {
    std::vector<double> seconds(calls_.size(), std::numeric_limits<double>::infinity());
    for (int round = 0; round <= options_.repeats; ++round) {
      for (std::size_t i = 0; i < calls_.size(); ++i) {
        const double elapsed = time_round(calls_[i]);
        if (round > 0) seconds[i] = std::min(seconds[i], elapsed / static_cast<double>(matrices_));
        progress();
      }
    }
    KernelBench result{options_.threads, matrices_, matrix_bytes_, 0, 0, {}};
    if (options_.isa.generates()) {
      const MachineLimits limits(options_.isa, team_, {weights_.data(), weights_.size()});
      result.read_limit = limits.read_weights();
      result.multiply_limit = limits.multiply(shape_.format);
    }
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      KernelResult& kernel = result.kernels.emplace_back();
      kernel.name = calls_[i].name;
      kernel.work = calls_[i].work;
      kernel.seconds = seconds[i];
      if (!options_.isa.generates()) continue;
      kernel.read_share = kernel.bytes_per_second() / result.read_limit;
      kernel.multiply_share = kernel.operations_per_second() / result.multiply_limit;
    }
    return result;
  }

 private:
  struct Call {
    std::string name;
    KernelWork work;
    // A thread's share of the product with the matrix at `w`.
    std::function<void(const std::byte* w, int thread)> multiply;
  };

  // All tiles hold the same numbers: only where they lie matters for speed. Each thread fills what it will
  // read, so that the memory is near it.
  void fill_weights() {
    const std::vector<std::byte> tile = random_tile(shape_.format, shape_.cols, random_);
    auto fill = [&](int thread) {
      const auto [begin, end] = share_of(units_, thread, team_.size());
      for (std::int64_t m = 0; m < matrices_; ++m) {
        std::byte* const matrix = weights_.data() + m * matrix_bytes_;
        for (std::int64_t unit = begin; unit < end; ++unit) {
          std::memcpy(matrix + unit * std::ssize(tile), tile.data(), tile.size());
        }
      }
    };
    team_.run(fill);
  }

  void generate() {
    if (shape_.tokens <= jit::kMostMatvecTokens) {
      jit::MatvecKey key{.format = shape_.format,
                         .rows = shape_.rows,
                         .cols = shape_.cols,
                         .epilogue = jit::Epilogue::store};
      if (shape_.tokens == 1) key = Tuning().choose(key, options_.isa);
      key.tokens = shape_.tokens;
      add_call(key, [](jit::MatvecArgs&, int) {});
    }
    if (shape_.tokens > 1) {
      const jit::MatmulKey key{shape_.format, shape_.rows, shape_.cols, jit::Epilogue::store};
      const std::int64_t bytes = matmul_scratch_bytes(key, options_.isa);
      scratch_ = PagedMemory(static_cast<std::size_t>(bytes * team_.size()), "scratch");
      add_call(key, [this, bytes](jit::MatmulArgs& args, int thread) {
        args.scratch = scratch_.data() + bytes * thread;
        args.n_tokens = shape_.tokens;
      });
    }
    code_.publish();
  }

  // complete(args, thread) sets what a kernel has beside others.
  template <class Key, class Complete>
  void add_call(const Key& key, Complete complete) {
    using Args = typename Key::Args;
    const jit::Kernel<Args> kernel = code_.get(key);
    Args whole = vectors_.args<Args>(weights_.data());
    complete(whole, 0);
    whole.unit_end = units_;
    calls_.push_back({jit::kernel_name(key), work_of(key, &whole),
                      [this, kernel, complete](const std::byte* w, int thread) {
                        Args args = vectors_.args<Args>(w);
                        complete(args, thread);
                        std::tie(args.unit_begin, args.unit_end) = share_of(units_, thread, team_.size());
                        kernel(args);
                      }});
  }

  double time_round(const Call& call) {
    auto multiply_all = [&](int thread) {
      for (std::int64_t m = 0; m < matrices_; ++m) {
        call.multiply(weights_.data() + m * matrix_bytes_, thread);
        team_.barrier(thread);
      }
    };
    const auto start = Clock::now();
    team_.run(multiply_all);
    return seconds_since(start);
  }

  ProductShape shape_;
  KernelBenchOptions options_;
  std::int64_t units_, matrix_bytes_, matrices_;
  std::mt19937 random_{1};
  PagedMemory weights_;
  Team team_;
  jit::CodeCache code_;
  Vectors vectors_;
  PagedMemory scratch_;
  std::vector<Call> calls_;
};

// The number that `text` is, at least 1.
std::optional<int> positive(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

// What stands before the first `mark`, which is taken off `text` with it; all, where there is none.
std::string_view take_until(std::string_view& text, char mark) {
  const std::string_view part = text.substr(0, text.find(mark));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

}  // namespace

ProductShape parse_product_shape(std::string_view text) {
  constexpr int kMostSize = 1 << 20, kMostTokens = 4096;
  std::string_view rest = text;
  const std::string_view name = take_until(rest, ':');
  const std::optional<jit::Format> format = jit::find_ggml_format(name);
  if (!format) throw std::runtime_error(fmt::format("{}: expected a format, found {}", text, name));
  std::string_view sizes = take_until(rest, ':');
  const std::optional<int> rows = positive(take_until(sizes, 'x')), cols = positive(sizes);
  const std::optional<int> tokens = rest.empty() ? 1 : positive(rest);
  if (!rows || !cols || !tokens || std::max(*rows, *cols) > kMostSize || *tokens > kMostTokens) {
    throw std::runtime_error(fmt::format(
        "{}: expected FORMAT:ROWSxCOLS or FORMAT:ROWSxCOLS:TOKENS, sizes up to {} and tokens up to {}", text,
        kMostSize, kMostTokens));
  }
  if (format->group > 0 && *cols % format->group != 0) {
    throw std::runtime_error(
        fmt::format("{}: expected columns in groups of {}, found {}", text, format->group, *cols));
  }
  const bool pairs = format->kind == jit::FormatKind::bf16;
  return {pairs ? jit::Format{jit::FormatKind::bf16_pairs, 0} : *format, *rows, *cols, *tokens};
}

KernelBench run_kernel_bench(const ProductShape& shape, const KernelBenchOptions& options,
                             const std::function<void()>& progress) {
  return Bench(shape, options).run(progress);
}

}  // namespace llamajit
