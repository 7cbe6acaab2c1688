// llama2.c checkpoints and legacy ggml files as GGUF files of the family llama.
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "runtime/convert/conversion_source.h"
#include "runtime/files/ggml_legacy_model.h"
#include "runtime/files/ggml_type.h"
#include "runtime/files/llama2c.h"
#include "runtime/files/tokenizer_bin.h"

namespace llamajit {
namespace {

using jit::FormatKind;

// The numbers of token_type.
std::int32_t type_of(PieceKind kind, TokenId id) {
  if (id == Vocab::kUnknown) return 2;
  switch (kind) {
    case PieceKind::control:
      return 3;
    case PieceKind::unused:
      return 5;
    case PieceKind::byte:
      return 6;
    default:
      return 1;
  }
}

std::string text_of(const Piece& piece, TokenId id) {
  constexpr const char* kNames[] = {"<unk>", "<s>", "</s>"};  // tokenizer.bin has line ends around them
  if (id <= Vocab::kEos) return kNames[id];
  if (piece.kind == PieceKind::byte)
    return fmt::format("<0x{:02X}>", static_cast<unsigned char>(piece.bytes[0]));
  std::string text;
  for (const char c : piece.bytes) {
    if (c == ' ') {
      text += "\xE2\x96\x81";  // U+2581
    } else {
      text += c;
    }
  }
  return text;
}

void add_tokenizer(const Vocab& vocab, GgufWriter& writer) {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  for (TokenId id = 0; id < vocab.size(); ++id) {
    texts.push_back(text_of(vocab[id], id));
    scores.push_back(vocab[id].score);
    types.push_back(type_of(vocab[id].kind, id));
  }
  writer.add("tokenizer.ggml.model", "llama");
  writer.add("tokenizer.ggml.tokens", texts);
  writer.add("tokenizer.ggml.scores", scores);
  writer.add("tokenizer.ggml.token_type", types);
  writer.add("tokenizer.ggml.unknown_token_id", static_cast<std::uint32_t>(Vocab::kUnknown));
  writer.add("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(Vocab::kBos));
  writer.add("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(Vocab::kEos));
  writer.add("tokenizer.ggml.add_bos_token", true);
  writer.add("tokenizer.ggml.add_space_prefix", true);
}

void add_config(const Config& c, GgufWriter& writer) {
  const auto count = [&](const char* key, int value) { writer.add(key, static_cast<std::uint32_t>(value)); };
  writer.add("general.architecture", "llama");
  count("llama.context_length", c.seq_len);
  count("llama.embedding_length", c.dim);
  count("llama.block_count", c.n_layers);
  count("llama.feed_forward_length", c.hidden_dim);
  count("llama.rope.dimension_count", c.head_dim());
  writer.add("llama.rope.freq_base", c.rope.theta);
  count("llama.attention.head_count", c.n_heads);
  count("llama.attention.head_count_kv", c.n_kv_heads);
  writer.add("llama.attention.layer_norm_rms_epsilon", c.norm_eps);
  count("llama.vocab_size", c.vocab_size);
}

// The format of GGUF files that has the same codes.
std::optional<FormatKind> kind_of_codes(jit::Format format) {
  switch (format.kind) {
    case FormatKind::q4_0_f32:
      return FormatKind::q4_0;
    case FormatKind::q4_1_f32:
      return FormatKind::q4_1;
    case FormatKind::int8:
      if (format.group % jit::format_traits(FormatKind::q8_0)->group == 0) return FormatKind::q8_0;
      [[fallthrough]];
    default:
      return std::nullopt;
  }
}

ConversionTensor converted(std::string name, const Tensor& tensor) {
  ConversionTensor to;
  to.name = std::move(name);
  to.dims = {tensor.cols};
  if (tensor.rows > 1) to.dims.push_back(tensor.rows);
  to.data = tensor.data;
  to.scales = tensor.scales;
  const jit::Format format = tensor.format;
  const jit::FormatTraits* const traits = jit::format_traits(format.kind);
  to.type = traits == nullptr ? ggml_name(format.kind) : traits->name;
  if (traits == nullptr) to.type_number = find_ggml_type(to.type)->number;
  if (traits == nullptr || format.kind == FormatKind::int8) to.floats = format;
  if (const auto kind = kind_of_codes(format)) to.codes = {format, *kind};
  return to;
}

void add_layer(const LayerTensors& layer, std::size_t index, std::vector<ConversionTensor>& tensors) {
  const std::pair<const char*, const Tensor*> named[] = {
      {"attn_norm", &layer.att_norm}, {"attn_q", &layer.wq},      {"attn_k", &layer.wk},
      {"attn_v", &layer.wv},          {"attn_output", &layer.wo}, {"ffn_norm", &layer.ffn_norm},
      {"ffn_gate", &layer.gate},      {"ffn_down", &layer.down},  {"ffn_up", &layer.up}};
  for (const auto& [name, tensor] : named) {
    tensors.push_back(converted(fmt::format("blk.{}.{}.weight", index, name), *tensor));
  }
}

// The name of the type that all matrices of a file have, as both kinds of files have it.
std::string_view own_type(jit::Format format) {
  if (const auto kind = kind_of_codes(format)) return ggml_name(*kind);
  return has_codes(format) ? "F32" : ggml_name(format.kind);
}

}  // namespace

ConversionSource open_llama_conversion(const std::string& path,
                                       const std::optional<std::string>& tokenizer_bin) {
  std::shared_ptr<const Vocab> vocab;
  const auto model = std::make_shared<ModelFile>();
  if (is_ggml_legacy(path)) {
    GgmlLegacyFile file(path);
    if (!tokenizer_bin) vocab = std::make_shared<Vocab>(read_ggml_legacy_vocab(file));
    *model = read_ggml_legacy_model(std::move(file));
  } else {
    *model = read_llama2c(path);
  }
  const Config& c = model->config;
  if (tokenizer_bin) vocab = std::make_shared<Vocab>(read_tokenizer_bin(*tokenizer_bin, c.vocab_size));
  ConversionSource source;
  for (const MappedFile& part : model->parts) source.paths.push_back(part.path());
  source.outline = {c.n_layers, c.n_heads / c.n_kv_heads, !c.shared_classifier};
  source.has_tokenizer = vocab != nullptr;
  source.own_type = own_type(model->embedding.format);
  source.tensors.push_back(converted("token_embd.weight", model->embedding));
  for (std::size_t i = 0; i < model->layers.size(); ++i) add_layer(model->layers[i], i, source.tensors);
  source.tensors.push_back(converted("output_norm.weight", model->final_norm));
  if (!c.shared_classifier) source.tensors.push_back(converted("output.weight", model->classifier));
  source.add_keys = [model, vocab](GgufWriter& writer) {
    add_config(model->config, writer);
    if (vocab != nullptr) add_tokenizer(*vocab, writer);
  };
  source.check_intact = [model] { model->check_intact(); };
  return source;
}

}  // namespace llamajit
