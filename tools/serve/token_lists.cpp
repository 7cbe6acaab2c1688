// POST /tokenize, /detokenize and /apply-template, as llama.cpp's server has them.
#include "tools/serve/token_lists.h"

#include <fmt/format.h>

#include "tools/serve/api.h"
#include "tools/serve/api_error.h"
#include "tools/serve/conversation_prompt.h"
#include "tools/serve/fields.h"

namespace llamajit::serve {

std::vector<TokenId> encode_text(const Service& service, std::string_view text, bool begins, bool special) {
  std::vector<TokenId> ids =
      service.tokenizer.encode(text, {.bos = begins, .eos = false, .special = special});
  if (!begins || !ids.empty()) return ids;
  const TokenId bos = service.tokenizer.vocab().special().bos;
  if (bos < 0) throw ApiError(400, "prompt: expected text, as no token begins one; found none", "prompt");
  return {bos};
}

std::vector<TokenId> read_tokens(const Service& service, const Json& list, const char* name) {
  const TokenId size = service.tokenizer.vocab().size();
  if (!list.is_array() || list.empty()) {
    throw ApiError(400, fmt::format("{}: expected a list of tokens, found {}", name, shown(list)), name);
  }
  std::vector<TokenId> tokens;
  for (const Json& token : list) {
    if (!token.is_number_unsigned() || token.get<std::uint64_t>() >= static_cast<std::uint64_t>(size)) {
      throw ApiError(
          400, fmt::format("{}: expected tokens from 0 to {}, found {}", name, size - 1, shown(token)), name);
    }
    tokens.push_back(token.get<TokenId>());
  }
  return tokens;
}

std::string decode_tokens(const Service& service, const std::vector<TokenId>& tokens) {
  std::string text;
  TokenId previous = service.tokenizer.vocab().special().bos;
  for (const TokenId token : tokens) {
    text += service.tokenizer.decode(previous, token);
    previous = token;
  }
  return text;
}

HttpReply tokenize_text(const Service& service, const HttpRequest& request) {
  const Json body = parse_object(request.body);
  const Fields fields(body);
  const std::vector<TokenId> ids = encode_text(service, fields.required_text("content"), false,
                                               fields.boolean("parse_special").value_or(true));
  Json tokens = Json::array();
  if (fields.boolean("add_special").value_or(false)) {
    const SpecialTokens& special = service.tokenizer.vocab().special();
    if (special.add_bos && special.bos >= 0) tokens.push_back(special.bos);
  }
  const bool pieces = fields.boolean("with_pieces").value_or(false);
  for (const TokenId id : ids) {
    tokens.push_back(pieces ? Json{{"id", id}, {"piece", service.tokenizer.vocab()[id].bytes}} : Json(id));
  }
  return {200, "application/json", text_of({{"tokens", tokens}}), {}};
}

HttpReply detokenize_tokens(const Service& service, const HttpRequest& request) {
  const Json body = parse_object(request.body);
  const Json& list = Fields(body).at("tokens");
  const bool none = list.is_array() && list.empty();
  const std::string text = none ? "" : decode_tokens(service, read_tokens(service, list, "tokens"));
  return {200, "application/json", text_of({{"content", text}}), {}};
}

HttpReply apply_template(Service& service, const HttpRequest& request) {
  const Json body = parse_object(request.body);
  const ConversationPrompt prompt = read_conversation(Fields(body), service);
  return {200, "application/json", text_of({{"prompt", prompt.text}}), {}};
}

}  // namespace llamajit::serve
