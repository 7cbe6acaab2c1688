#include "tools/serve/logprobs_json.h"

namespace llamajit::serve {
namespace {

// Of a token that is no whole character, the bytes alone say what it is.
Json likely_json(const LikelyText& likely) {
  Json bytes = Json::array();
  for (const char c : likely.bytes) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", likely.bytes}, {"logprob", likely.logprob}, {"bytes", std::move(bytes)}};
}

}  // namespace

Json logprobs_json(std::span<const TokenLogprob> tokens) {
  Json list = Json::array();
  for (const TokenLogprob& token : tokens) {
    Json entry = likely_json(token.chosen);
    entry["top_logprobs"] = Json::array();
    for (const LikelyText& likely : token.top) entry["top_logprobs"].push_back(likely_json(likely));
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace llamajit::serve
