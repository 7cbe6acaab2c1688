// Models of hostile shapes, run: a family's file with other numbers under its keys, other sizes of its tensors and
// other bytes in its weights. What is read is run by generated code and by the twins, which give the same bits.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "jit/formats/quantizer.h"
#include "runtime/files/gguf_model.h"
#include "runtime/forward/engine.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/family_writer.h"
#include "tests/support/toy_model.h"

namespace llamajit::fuzz {
namespace {

constexpr std::size_t kDecoders = std::size(test::kFamilyFiles);
constexpr std::size_t kFamilies = kDecoders + std::size(test::kEncoderFiles);

test::FamilyFile chosen_family(Recipe& recipe) {
  const std::size_t i = recipe.pick(kFamilies);
  return i < kDecoders ? test::kFamilyFiles[i] : test::kEncoderFiles[i - kDecoders];
}

Config chosen_config(Recipe& recipe, const test::FamilyFile& family) {
  Config c = small_config(family);
  const std::uint8_t changes = recipe.number<std::uint8_t>();
  const auto change = [&](int bit, auto& value, int low, int high, int step) {
    if ((changes >> bit & 1) != 0) value = recipe.between(low, high) * step;
  };
  change(0, c.dim, 1, 12, 8);
  change(1, c.hidden_dim, 1, 16, 8);
  change(2, c.n_heads, 1, 8, 1);
  change(3, c.n_kv_heads, 1, 4, 1);
  change(4, c.head_size, 1, 20, 2);
  change(5, c.rope.dims, 1, 10, 2);
  change(6, c.vocab_size, 1, 70, 1);
  change(7, c.seq_len, 1, 40, 1);
  c.n_kv_heads = std::max(1, std::min(c.n_kv_heads, c.n_heads));
  c.n_heads -= c.n_heads % c.n_kv_heads;
  for (LayerShape& layer : c.layers) {
    const int head_size = layer.head_size;
    layer = c;
    layer.head_size = head_size;
  }
  return c;
}

test::MatrixEncoding floats(std::uint32_t type) {
  return {type, [type](const std::vector<float>& weights) { return test::encode_tensor(weights, type); }};
}

// A row of 256 weights in blocks, again and again: the bytes are right, whatever the weights were.
test::MatrixEncoding blocks(jit::FormatKind kind) {
  constexpr int kCols = 256;
  std::vector<float> x(kCols);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.1F * std::sin(static_cast<float>(i * i % 97));
  constexpr float kScale = 0.05F;  // of I2_S, which has one
  std::string row(static_cast<std::size_t>(jit::row_bytes(kind, kCols)), '\0');
  jit::quantize_row(kind, x.data(), kCols, reinterpret_cast<std::byte*>(row.data()), kScale);
  const GgmlType* const type = find_ggml_type(jit::ggml_name(kind));
  std::string tail(type->tail_bytes, '\0');
  if (!tail.empty()) tail.replace(0, sizeof kScale, test::bytes_of(kScale));
  return {type->number,
          [row, tail](const std::vector<float>& weights) {
            std::string bytes;
            for (std::size_t i = 0; i < weights.size() / kCols; ++i) bytes += row;
            return bytes + tail;
          },
          kCols};
}

// Every fourth choice is a format of blocks, whose rows are multiples of 256.
test::MatrixEncoding chosen_encoding(Recipe& recipe, Config& config) {
  const std::size_t choice = recipe.pick(256);
  static constexpr std::uint32_t kTypes[] = {test::kF32, test::kF16, test::kBf16};
  if (choice % 4 != 3) return floats(kTypes[choice % 4]);
  static const std::vector<jit::Format> kFormats = jit::ggml_formats();
  const jit::FormatKind kind = kFormats[choice / 4 % kFormats.size()].kind;
  if (jit::format_traits(kind) == nullptr) return floats(test::kF32);
  const auto resize = [](LayerShape& shape) {
    shape.dim = shape.hidden_dim = 256;
    shape.head_size = 256 / shape.n_heads / 2 * 2;
  };
  resize(config);
  if (config.layers.empty()) config.n_layers = 1;  // they are long
  for (LayerShape& layer : config.layers) resize(layer);
  return blocks(kind);
}

// A value for a key: what a hostile file says where the right one has a number.
void replace_key(Recipe& recipe, test::GgufWriter& w, const GgufEntry& entry) {
  const std::string key(entry.key);
  w.remove(key);
  switch (recipe.pick(8)) {
    case 0:
      return;
    case 1:
      return w.add(key, GgufType::u32, test::bytes_of(recipe.number<std::uint32_t>()));
    case 2:
      return w.add(key, GgufType::i32, test::bytes_of(std::int32_t{recipe.number<std::int8_t>()}));
    case 3:
      return w.add(key, GgufType::u64, test::bytes_of(recipe.number<std::uint64_t>()));
    case 4:
      return w.add(key, GgufType::f32, test::bytes_of(recipe.number<float>()));
    case 5:
      return w.add(key, recipe.pick(2) == 1);
    case 6: {
      std::vector<std::int32_t> values;
      for (std::size_t n = recipe.pick(9); n-- > 0;) values.push_back(recipe.between(0, 40));
      return w.add(key, values);
    }
    default:
      return w.add(key, std::string(recipe.text()));
  }
}

// Its keys and its tensors' descriptions, some of them others.
std::string damaged(Recipe& recipe, test::GgufWriter w) {
  const std::string content = w.content();
  const GgufPart part = read_gguf_part("seed", std::as_bytes(std::span(content)));
  for (std::size_t n = recipe.pick(4); n-- > 0;) {
    replace_key(recipe, w, part.metadata[recipe.pick(part.metadata.size())]);
  }
  for (std::size_t n = recipe.pick(3); n-- > 0;) {
    const GgufTensor& tensor = part.tensors[recipe.pick(part.tensors.size())];
    const std::string name(tensor.name);
    std::string data(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
    std::vector<std::uint64_t> dims(tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims);
    std::uint32_t type = tensor.type->number;
    w.remove_tensor(name);
    switch (recipe.pick(4)) {
      case 0:  // it is missing
        continue;
      case 1:
        dims[recipe.pick(dims.size())] = recipe.number<std::uint16_t>();
        break;
      case 2:
        type = recipe.number<std::uint8_t>();
        break;
      default:  // weights of any bits, those of a few numbers
        for (std::size_t i = 0; i < 4 && !data.empty(); ++i) {
          const std::string_view bytes = recipe.take(4);
          const std::size_t at = recipe.number<std::uint16_t>() * 4U % data.size();
          data.replace(at, std::min(bytes.size(), data.size() - at), bytes.substr(0, data.size() - at));
        }
    }
    w.add_tensor(name, dims, type, data);
  }
  return w.content();
}

std::vector<float> outputs(const ModelFile& model, jit::Tier tier) {
  const int context = std::min(model.config.seq_len, 20);
  Engine engine(model, {{tier}, 1, context, {jit::ElementType::f32}});
  std::vector<float> all;
  const auto keep = [&](std::span<const float> values) {
    all.insert(all.end(), values.begin(), values.end());
  };
  std::vector<TokenId> text;
  for (int pos = 0; pos < std::min(context, 5); ++pos) text.push_back(pos * 31 % model.config.vocab_size);
  if (model.config.causal) {
    engine.feed(text[0], 0, true);
    keep(engine.logits());
    engine.feed_all(text, 0);
    keep(engine.logits());
  } else {
    Batch batch;
    batch.add_hidden(engine.sequence(), text, 0);
    engine.step(batch, [&](std::size_t, const RowOutput& output) { keep(output.hidden); });
  }
  return all;
}

}  // namespace

void run(std::string_view input) {
  Recipe recipe(input);
  const test::FamilyFile family = chosen_family(recipe);
  Config config = chosen_config(recipe, family);
  const test::MatrixEncoding encoding = chosen_encoding(recipe, config);
  // What isn't rotated of a latent head is a matrix, which can't be written with fewer columns than none.
  if (family.latent) config.rope.dims = std::min(config.rope.dims, config.head_dim());
  succeeds([&] {
    // Sizes by chance may leave a matrix none, as latent heads without a part that isn't rotated; that isn't read either.
    const InputFile file(damaged(recipe, family_gguf(family, config, 3, encoding)));
    const ModelFile model = read_gguf_model(GgufFile(file.path()));
    const std::vector<float> twins = outputs(model, jit::Tier::scalar);
    const auto finite = [](float x) { return std::isfinite(x); };
    // Which NaN comes of two is no part of the contract.
    if (!std::ranges::all_of(twins, finite)) {
      outputs(model, jit::host_tiers().back());
      return;
    }
    static const std::vector<jit::Tier> kTiers = jit::host_tiers();
    for (const jit::Tier tier : {kTiers[std::min<std::size_t>(1, kTiers.size() - 1)], kTiers.back()}) {
      const std::vector<float> generated = outputs(model, tier);
      expect(generated.size() == twins.size() &&
                 std::memcmp(generated.data(), twins.data(), twins.size() * sizeof(float)) == 0,
             "generated code and twins differ");
    }
  });
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < kFamilies; ++i) {
    all.push_back(test::bytes_of(static_cast<std::uint8_t>(i)) + std::string(31, '\0'));
  }
  for (std::size_t i = 0; i < jit::ggml_formats().size(); ++i) {
    all.push_back(test::bytes_of(static_cast<std::uint8_t>(7 * i % kFamilies)) + std::string(1, '\0') +
                  test::bytes_of(static_cast<std::uint8_t>(4 * i + 3)) + std::string(29, '\0'));
  }
  return all;
}

}  // namespace llamajit::fuzz
