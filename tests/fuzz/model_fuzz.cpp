// Whole files: of models in every format that is read, with the tokenizers that they have inside.
#include "runtime/files/ggml_legacy_model.h"
#include "runtime/files/gguf_tokenizer.h"
#include "runtime/files/model_reader.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/family_writer.h"
#include "tests/support/legacy_writer.h"
#include "tests/support/toy_model.h"

namespace llamajit::fuzz {

void run(std::string_view input) {
  const InputFile file(input);
  succeeds([&] { read_model(file.path()); });
  if (input.starts_with("GGUF"))
    succeeds([&] { read_gguf_tokenizer(GgufFile(file.path()))->encode("ab \xFF"); });
  if (input.starts_with("lmgg")) succeeds([&] { read_ggml_legacy_vocab(GgmlLegacyFile(file.path())); });
}

std::vector<std::string> seeds() {
  const std::vector<std::string> pieces{"<unk>", "<s>", "</s>",     "\u2581", "a",
                                        "b",     "ab",  "\u2581ab", "c",      "d"};
  std::vector<std::string> all;
  Config tiny = test::toy_config(16, 16, 1, 2, 2, 10, 8, false);
  const auto weights = test::random_weights(tiny, 7);
  all.push_back(write_v0(weights));
  all.push_back(write_v1(weights));
  all.push_back(write_v2(weights, 8));
  for (const std::uint32_t type : {test::kF32, test::kF16, test::kBf16}) {
    auto w = llama_gguf(weights, type);
    add_llama_tokenizer(w, pieces);
    all.push_back(w.content());
  }
  const auto of_blocks = test::random_weights(test::toy_config(32, 96, 1, 2, 2, 10, 8, false), 7);
  all.push_back(llama_gguf(of_blocks, test::kQ8_0).content());
  for (int ftype = 0; ftype < 4; ++ftype) {
    all.push_back(legacy_files(of_blocks, pieces, {.ftype = ftype}).front());
  }
  // Headers alone: what a family wants is asked for one tensor after another.
  const auto add_family = [&](const test::FamilyFile& family) {
    const std::string content = family_gguf(family, small_config(family), 3).content();
    all.push_back(content.substr(0, 16384));
  };
  for (const test::FamilyFile& family : test::kFamilyFiles) add_family(family);
  for (const test::FamilyFile& family : test::kEncoderFiles) add_family(family);
  return all;
}

}  // namespace llamajit::fuzz
