// POST /tokenize, /detokenize and /apply-template, as llama.cpp's server has them.
#include "tools/serve/token_lists.h"

#include <fmt/format.h>

#include "tools/serve/api.h"
#include "tools/serve/api_error.h"
#include "tools/serve/conversation_prompt.h"
#include "tools/serve/fields.h"
#include "tools/serve/replies.h"

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

std::vector<std::vector<TokenId>> read_token_texts(const Service& service, const Fields& fields,
                                                   const char* name, std::size_t most,
                                                   const EncodeOne& encode) {
  const Json& found = fields.at(name);
  if (found.is_string()) return {encode(found.get<std::string>())};
  if (!found.is_array() || found.empty()) fields.fail(name, "a text or a list", found);
  if (found.front().is_number()) return {read_tokens(service, found, name)};
  if (found.size() > most) fields.fail(name, fmt::format("at most {} texts", most), Json(found.size()));
  std::vector<std::vector<TokenId>> texts;
  for (const Json& one : found) {
    if (!one.is_string() && !one.is_array()) fields.fail(name, "texts or lists of tokens", one);
    texts.push_back(one.is_string() ? encode(one.get<std::string>()) : read_tokens(service, one, name));
  }
  return texts;
}

void check_prompt_fits(const Service& service, std::size_t tokens, const char* name) {
  const int context = service.scheduler.engine().context();
  if (tokens <= static_cast<std::size_t>(context)) return;
  throw ApiError(400,
                 fmt::format("{}: expected at most {} tokens (the context), found {}", name, context, tokens),
                 "", "context_length_exceeded");
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
  return json_reply({{"tokens", tokens}});
}

HttpReply detokenize_tokens(const Service& service, const HttpRequest& request) {
  const Json body = parse_object(request.body);
  const Json& list = Fields(body).at("tokens");
  const bool none = list.is_array() && list.empty();
  const std::string text = none ? "" : decode_tokens(service, read_tokens(service, list, "tokens"));
  return json_reply({{"content", text}});
}

HttpReply apply_template(Service& service, const ApiRequest& request) {
  const Json body = parse_object(request.http.body);
  const ConversationPrompt prompt = read_conversation(Fields(body), service, *request.gone);
  return json_reply({{"prompt", prompt.text}});
}

}  // namespace llamajit::serve
