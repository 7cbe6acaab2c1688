// Text and tokens, for those who handle tokens themselves.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/serve/fields.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

// One token at least, if `begins`: BOS where the text has none. `special`: names of control tokens stand for them.
// Throws ApiError (400) for a text that gives none where one must be.
std::vector<TokenId> encode_text(const Service& service, std::string_view text, bool begins, bool special);
// Throws ApiError (400) for what is no list of tokens of the vocabulary, or an empty one.
std::vector<TokenId> read_tokens(const Service& service, const Json& list, const char* name);
std::string decode_tokens(const Service& service, const std::vector<TokenId>& tokens);

// Member `name`: a text, a list of at most so many, a list of tokens, or a list of such lists. Throws ApiError (400).
using EncodeOne = std::function<std::vector<TokenId>(const std::string& text)>;
std::vector<std::vector<TokenId>> read_token_texts(const Service& service, const Fields& fields,
                                                   const char* name, std::size_t most,
                                                   const EncodeOne& encode);
// Throws ApiError (400) where the context does not hold so many.
void check_prompt_fits(const Service& service, std::size_t tokens, const char* name);

}  // namespace llamajit::serve
