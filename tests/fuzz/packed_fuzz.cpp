// Packed files: a header that may be wrong, and weights of any bits, which kernels run over.
#include <algorithm>

#include "runtime/files/gguf_model.h"
#include "runtime/forward/engine.h"
#include "runtime/forward/packed_file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/family_writer.h"
#include "tests/support/toy_model.h"

namespace llamajit::fuzz {
namespace {

struct Packable {
  explicit Packable(const test::FamilyFile& family)
      : source(family_gguf(family, small_config(family), 3).content()),
        model(read_gguf_model(GgufFile(source.path()))) {
    const Engine engine(model, options(jit::Tier::scalar, ""));
    write_packed(packed_key(model, Bf16Products::none), {engine.weights().data(), engine.weights().bytes()},
                 [&](std::span<const std::byte> bytes) {
                   packed.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                 });
  }
  static EngineOptions options(jit::Tier tier, const std::string& packed) {
    EngineOptions options{{tier}, 1, 16, {jit::ElementType::f32, Bf16Products::none}};
    options.packed = packed;
    return options;
  }

  InputFile source;
  ModelFile model;
  std::string packed;
};

// Dense, with experts, with a delta net, and with latent attention.
const Packable& packable(std::size_t i) {
  static const Packable* all[4] = {};
  static constexpr std::string_view kNames[] = {"gemma2", "qwen2moe", "qwen35", "deepseek2"};
  if (all[i] == nullptr)
    all[i] = new Packable(*std::ranges::find(test::kFamilyFiles, kNames[i], &test::FamilyFile::name));
  return *all[i];
}

}  // namespace

void run(std::string_view input) {
  Recipe recipe(input);
  const Packable& of = packable(recipe.pick(4));
  const jit::Tier tier = recipe.pick(2) == 0 ? jit::host_tiers().back() : jit::Tier::scalar;
  std::string file = of.packed;
  if (recipe.pick(8) == 0) file.resize(file.size() - 1 - recipe.number<std::uint16_t>() % file.size());
  const bool hits_header = recipe.pick(8) == 0;
  for (int i = 0; i < 64 && !recipe.done() && !file.empty(); ++i) {
    const std::size_t first = hits_header || file.size() <= kPackedHeader ? 0 : kPackedHeader;
    const std::size_t size = hits_header ? std::min<std::size_t>(file.size(), 96) : file.size() - first;
    const std::size_t at = first + recipe.number<std::uint32_t>() % size;
    const std::string_view bytes = recipe.take(4);
    file.replace(at, std::min(bytes.size(), file.size() - at), bytes.substr(0, file.size() - at));
  }
  const InputFile packed(file);
  succeeds([&] {
    Engine engine(of.model, Packable::options(tier, packed.path()));
    const std::vector<TokenId> text{1, 2, 3, 4, 5};
    for (int pos = 0; pos < 2; ++pos) engine.feed(text[static_cast<std::size_t>(pos)], pos, true);
    engine.feed_all(text, 0);
    expect(engine.argmax() < of.model.config.vocab_size, "a token beyond the vocabulary");
  });
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (char model = 0; model < 4; ++model) {
    for (char tier = 0; tier < 2; ++tier) {
      for (const char damage : {'\0', '\1'}) {
        all.push_back(std::string{model, tier, '\1', damage} + std::string(4, '\x21') + "\xFF\xFF\x7F\x7F" +
                      std::string(4, '\x11') + "\xFF\xFF\xFF\xFF");
      }
    }
  }
  return all;
}

}  // namespace llamajit::fuzz
