// POST /v1/embeddings: https://platform.openai.com/docs/api-reference/embeddings/create
#include <bit>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

#include <boost/archive/iterators/base64_from_binary.hpp>
#include <boost/archive/iterators/transform_width.hpp>
#include <fmt/format.h>

#include "tools/serve/api.h"
#include "tools/serve/api_error.h"
#include "tools/serve/embedding_job.h"
#include "tools/serve/ollama_request.h"
#include "tools/serve/replies.h"
#include "tools/serve/token_lists.h"

namespace llamajit::serve {
namespace {

constexpr std::size_t kMostTexts = 2048;

// Of its floats as they lie in memory, which x86 has little-endian, as clients read them.
std::string base64(std::span<const float> vector) {
  using namespace boost::archive::iterators;
  using Digits = base64_from_binary<transform_width<const char*, 6, 8>>;
  const std::string_view bytes(reinterpret_cast<const char*>(vector.data()), vector.size_bytes());
  std::string text(Digits(bytes.begin()), Digits(bytes.end()));
  return text.append((3 - bytes.size() % 3) % 3, '=');
}

// The double that has the float's own digits, so that JSON shows no more of them.
double with_its_digits(float x) {
  const std::string digits = fmt::to_string(x);
  double value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

Json list_of(std::span<const float> vector) {
  Json list = Json::array();
  for (const float x : vector) list.push_back(with_its_digits(x));
  return list;
}

HttpReply failure(const std::string& message) {
  return error_reply(ApiError(500, message));
}

HttpReply plain_failure(const std::string& message) {
  return plain_error_reply(ApiError(500, message));
}

// A text with the tokens that the model's own are begun and ended with. Control tokens' names are text like any other.
std::vector<TokenId> encode_whole(const Service& service, std::string_view text) {
  return service.tokenizer.encode(text, {.special = false});
}

void read_shape(const Fields& fields, const Service& service, EmbeddingRequest& request) {
  const Config& config = service.scheduler.engine().config();
  request.pooling = service.pooling;
  if (const auto name = fields.text("pooling")) {
    try {
      request.pooling = pooling_from(*name);
    } catch (const std::invalid_argument&) {
      fields.fail("pooling", "mean, last or cls", Json(*name));
    }
  }
  request.normalizes = fields.boolean("normalize").value_or(true);
  request.dimensions = static_cast<int>(fields.integer("dimensions", 1, config.dim).value_or(0));
}

bool wants_base64(const Fields& fields) {
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64")
    fields.fail("encoding_format", "float or base64", Json(format));
  return format == "base64";
}

// Its first tokens, and the last one where that ends texts.
void shorten(std::vector<TokenId>& text, const Service& service) {
  const auto most = static_cast<std::size_t>(service.scheduler.engine().context());
  if (text.size() <= most) return;
  const TokenId last = text.back();
  text.resize(most);
  if (service.tokenizer.vocab().special().add_eos) text.back() = last;
}

EmbeddingRequest read_texts(const Fields& fields, const char* name, const Service& service, bool shortens) {
  EmbeddingRequest request;
  const auto encode = [&](const std::string& text) { return encode_whole(service, text); };
  request.texts = read_token_texts(service, fields, name, kMostTexts, encode);
  for (std::vector<TokenId>& text : request.texts) {
    if (text.empty()) fields.fail(name, "texts of one token at least", fields.at(name));
    if (shortens) shorten(text, service);
    check_prompt_fits(service, text.size(), name);
  }
  return request;
}

// What Ollama's two endpoints have in common.
EmbeddingRequest read_ollama_texts(const Fields& fields, const char* name, const Service& service) {
  check_ollama_options(fields, service);
  EmbeddingRequest request = read_texts(fields, name, service, fields.boolean("truncate").value_or(true));
  read_shape(fields, service, request);
  return request;
}

}  // namespace

void embeddings(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  service.check_model(body);
  const Fields fields(body);
  const bool packed = wants_base64(fields);
  EmbeddingRequest asked = read_texts(fields, "input", service, false);
  read_shape(fields, service, asked);
  asked.share = request.share;
  const auto form = [packed, model = service.model](const Embeddings& result) {
    Json data = Json::array();
    for (const std::vector<float>& vector : result.vectors) {
      data.push_back({{"object", "embedding"},
                      {"index", data.size()},
                      {"embedding", packed ? Json(base64(vector)) : list_of(vector)}});
    }
    return json_reply(
        {{"object", "list"},
         {"data", std::move(data)},
         {"model", model},
         {"usage", {{"prompt_tokens", result.prompt_tokens}, {"total_tokens", result.prompt_tokens}}}});
  };
  EmbeddingJob::start(service, std::move(asked), std::move(exchange), form, failure);
}

void ollama_embed(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  const Fields fields(body);
  const std::string model = read_ollama_model(fields, service);
  EmbeddingRequest asked = read_ollama_texts(fields, "input", service);
  asked.share = request.share;
  const auto form = [model](const Embeddings& result) {
    Json vectors = Json::array();
    for (const std::vector<float>& vector : result.vectors) vectors.push_back(list_of(vector));
    return json_reply({{"model", model},
                       {"embeddings", std::move(vectors)},
                       {"total_duration", static_cast<std::int64_t>(result.seconds * 1e9)},
                       {"load_duration", 0},
                       {"prompt_eval_count", result.prompt_tokens}});
  };
  EmbeddingJob::start(service, std::move(asked), std::move(exchange), form, plain_failure);
}

// The endpoint before /api/embed: one text, whose vector has the length that it has.
void ollama_embeddings(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  const Fields fields(body);
  read_ollama_model(fields, service);
  EmbeddingRequest asked = read_ollama_texts(fields, "prompt", service);
  if (asked.texts.size() != 1) fields.fail("prompt", "one text", fields.at("prompt"));
  asked.normalizes = fields.boolean("normalize").value_or(false);
  asked.share = request.share;
  const auto form = [](const Embeddings& result) {
    return json_reply({{"embedding", list_of(result.vectors.front())}});
  };
  EmbeddingJob::start(service, std::move(asked), std::move(exchange), form, plain_failure);
}

}  // namespace llamajit::serve
