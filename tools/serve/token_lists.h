// Text and tokens, for those who handle tokens themselves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/serve/service.h"

namespace llamajit::serve {

// One token at least, if `begins`: BOS where the text has none. `special`: names of control tokens stand for them.
// Throws ApiError (400) for a text that gives none where one must be.
std::vector<TokenId> encode_text(const Service& service, std::string_view text, bool begins, bool special);
// Throws ApiError (400) for what is no list of tokens of the vocabulary, or an empty one.
std::vector<TokenId> read_tokens(const Service& service, const Json& list, const char* name);
std::string decode_tokens(const Service& service, const std::vector<TokenId>& tokens);

}  // namespace llamajit::serve
