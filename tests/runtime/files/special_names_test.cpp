// What tokens and models are called, and what follows from that.
#include "runtime/files/special_names.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::special_names_test {
namespace {

using Ids = std::vector<TokenId>;

std::vector<Piece> pieces_of(const std::vector<std::string>& names, PieceKind kind = PieceKind::control) {
  std::vector<Piece> pieces;
  for (const std::string& name : names) pieces.push_back({name, 0, kind});
  return pieces;
}

Ids ends_of(const std::vector<Piece>& pieces, const Ids& known = {}) {
  SpecialTokens special{.ends = known};
  find_ends(pieces, special);
  return special.ends;
}

TEST(SpecialNames, TheseEndAText) {
  for (const char* name : {"<|eot_id|>",
                           "<|eom_id|>",
                           "<|im_end|>",
                           "<|end|>",
                           "<|endoftext|>",
                           "<|end_of_text|>",
                           "</s>",
                           "<EOT>",
                           "<end_of_turn>",
                           "<|return|>",
                           "<|call|>",
                           "<|calls|>",
                           "<|flush|>",
                           "_<EOT>",
                           "[EOT]",
                           "[EOS]",
                           "<eos>",
                           "<end_of_utterance>",
                           "<turn|>",
                           "[e~[",
                           "<|tool_response>",
                           "<|fim_pad|>",
                           "<|repo_name|>",
                           "<|file_sep|>",
                           "<\uFF5Cend\u2581of\u2581sentence\uFF5C>"}) {
    for (const PieceKind kind : {PieceKind::control, PieceKind::user_defined, PieceKind::unknown}) {
      EXPECT_EQ(ends_of(pieces_of({"a", name}, kind)), (Ids{1})) << name;
    }
    EXPECT_EQ(ends_of(pieces_of({"a", name}, PieceKind::normal)), Ids{}) << name << " is ordinary text";
  }
}

TEST(SpecialNames, OthersDoNot) {
  EXPECT_EQ(ends_of(pieces_of({"<s>", "<|im_start|>", "<|start|>", "<|message|>", "<|turn>",
                               "<tool_response|>", "<unk>", "<bos>", "<|channel|>", ""})),
            Ids{});
  EXPECT_EQ(ends_of(pieces_of({"<s>", "</s>", "<|im_end|>"}), {2}), (Ids{2, 1})) << "each once, EOS first";
}

TEST(SpecialNames, AMessagesEndIsNotATextsWhereThereAreOthers) {
  EXPECT_EQ(ends_of(pieces_of({"<|end|>", "<|return|>", "<|call|>"})), (Ids{1, 2})) << "gpt-oss";
  EXPECT_EQ(ends_of(pieces_of({"<|end|>", "<|return|>", "<|call|>"}), {1, 0}), (Ids{1, 2}))
      << "named by a key";
  EXPECT_EQ(ends_of(pieces_of({"<|end|>", "<|flush|>", "<|calls|>"})), (Ids{1, 2})) << "Solar";
  EXPECT_EQ(ends_of(pieces_of({"<|end|>", "<|call|>"})), (Ids{0, 1}));
  EXPECT_EQ(ends_of(pieces_of({"<|end|>", "<|return|>", "<|call|>"}), {0}), (Ids{0, 1, 2}))
      << "EOS is what the file says";
  EXPECT_EQ(ends_of(pieces_of({"</s>", "<eos>", "<turn|>", "<|tool_response>"})), (Ids{1, 2, 3}))
      << "Gemma 4";
}

// Which of the names take the white space, before or after.
std::vector<std::string> takers(const ModelNames& names, bool Piece::*side) {
  std::vector<Piece> pieces =
      pieces_of({"<unk>", "<s>", "</s>", "<|endoftext|>", "<|end|>", "<mask>", "[MASK]"});
  pieces.push_back({"end"});
  find_takers_of_space(pieces, names);
  std::vector<std::string> found;
  for (const Piece& piece : pieces) {
    if (piece.*side) found.push_back(piece.bytes);
  }
  return found;
}

TEST(SpecialNames, Phi3sTokensTakeTheSpaceAfterThem) {
  using Names = std::vector<std::string>;
  const Names special{"</s>", "<|end|>", "<mask>", "[MASK]"};
  for (const ModelNames& phi3 :
       {ModelNames{.tokenizer = "llama", .name = "Phi-3-mini-4k-instruct"},
        ModelNames{.tokenizer = "llama", .name = "Phi3"},
        ModelNames{.tokenizer = "llama", .architecture = "phi3", .name = "Phi 3.5 Mini"},
        ModelNames{.tokenizer = "llama", .architecture = "phimoe"}}) {
    EXPECT_EQ(takers(phi3, &Piece::takes_space_after), special) << phi3.name;
    EXPECT_EQ(takers(phi3, &Piece::takes_space_before), Names{}) << phi3.name;
  }
  for (const ModelNames& other :
       {ModelNames{.tokenizer = "gpt2", .architecture = "phi3", .name = "Phi-4-mini"},
        ModelNames{.tokenizer = "llama", .architecture = "llama", .name = "TinyLlama"}, ModelNames{}}) {
    EXPECT_EQ(takers(other, &Piece::takes_space_after), Names{}) << other.name;
    EXPECT_EQ(takers(other, &Piece::takes_space_before), Names{}) << other.name;
  }
}

TEST(SpecialNames, MasksTakeTheSpaceBeforeThem) {
  using Names = std::vector<std::string>;
  for (const ModelNames& model :
       {ModelNames{.pre_tokenizer = "jina-v2-de"}, ModelNames{.pre_tokenizer = "jina-v2-code"},
        ModelNames{.name = "Modern-BERT-base"}, ModelNames{.architecture = "jina-bert-v3"}}) {
    EXPECT_EQ(takers(model, &Piece::takes_space_before), (Names{"<mask>", "[MASK]"}));
    EXPECT_EQ(takers(model, &Piece::takes_space_after), Names{});
  }
}

}  // namespace
}  // namespace llamajit::special_names_test
