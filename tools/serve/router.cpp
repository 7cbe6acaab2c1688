#include "tools/serve/router.h"

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "tools/serve/api_error.h"
#include "tools/serve/page.h"
#include "tools/serve/replies.h"

namespace llamajit::serve {
namespace {

// Answers at once, or reads the request elsewhere and answers as it can.
using AtOnce = HttpReply (*)(Service&, const HttpRequest&);
using AsItCan = void (*)(Service&, const ApiRequest&, Exchange);

template <auto Answer>
void answer_whole(Service& service, const ApiRequest& request, Exchange exchange) {
  HttpReply reply;
  if constexpr (std::is_invocable_v<decltype(Answer), Service&, const ApiRequest&>) {
    reply = Answer(service, request);
  } else {
    reply = Answer(service, request.http);
  }
  HttpExchange& there = *exchange;
  there.post([exchange = std::move(exchange), reply = std::move(reply)]() mutable {
    exchange->send(std::move(reply));
  });
}

constexpr std::string_view kModels = "/models/";

std::string_view without_version(std::string_view path) {
  return path.starts_with("/v1/") ? path.substr(3) : path;
}

// Whether a host is localhost or an address. Anybody may make a name of his own mean this machine (DNS rebinding), so
// that his pages seem to be this server's.
bool is_no_name(std::string_view host) {
  if (host.starts_with('[')) return true;  // IPv6
  const std::string_view name = host.substr(0, host.find(':'));
  return name == "localhost" || name.find_first_not_of("0123456789.") == std::string_view::npos;
}

HttpReply error_for(const HttpRequest& request, const ApiError& error) {
  const std::string_view path = without_version(request.path);
  if (path.starts_with("/api/")) return plain_error_reply(error);
  return path.starts_with("/messages") ? anthropic_error_reply(error) : error_reply(error);
}

HttpReply health(Service&, const HttpRequest&) {
  return {200, "application/json", R"({"status":"ok"})", {}};
}

}  // namespace

struct Router::Route {
  std::string_view method;
  std::string_view path;  // one that ends with '/' begins the path
  AtOnce at_once;
  AsItCan as_it_can;
  bool open = false;  // without a key, too
};

// Paths stand without /v1, which any may have: clients whose base lacks it ask so.
const Router::Route* Router::find(const HttpRequest& request) {
  static const Route kRoutes[] = {
      {"GET", "/", [](Service&, const HttpRequest&) { return web_page(); }, nullptr, true},
      {"GET", "/health", health, nullptr, true},
      {"GET", "/models", [](Service& s, const HttpRequest&) { return list_models(s); }, nullptr},
      {"GET", kModels,
       [](Service& s, const HttpRequest& r) {
         return show_model(s, without_version(r.path).substr(kModels.size()));
       },
       nullptr},
      {"GET", "/metrics", [](Service& s, const HttpRequest&) { return metrics(s); }, nullptr},
      {"POST", "/chat/completions", nullptr, chat_completions},
      {"POST", "/completions", nullptr, completions},
      {"POST", "/responses", nullptr, responses},
      {"POST", "/embeddings", nullptr, embeddings},
      {"POST", "/messages", nullptr, anthropic_messages},
      {"POST", "/messages/count_tokens", nullptr, answer_whole<anthropic_count_tokens>},
      {"POST", "/api/chat", nullptr, ollama_chat},
      {"POST", "/api/generate", nullptr, ollama_generate},
      {"POST", "/api/embed", nullptr, ollama_embed},
      {"POST", "/api/embeddings", nullptr, ollama_embeddings},
      {"GET", "/api/tags", [](Service& s, const HttpRequest&) { return ollama_tags(s); }, nullptr},
      {"GET", "/api/ps", [](Service& s, const HttpRequest&) { return ollama_running(s); }, nullptr},
      {"GET", "/api/version", [](Service&, const HttpRequest&) { return ollama_version(); }, nullptr},
      {"POST", "/api/show", nullptr, answer_whole<ollama_show>},
      {"POST", "/api/pull", nullptr, answer_whole<ollama_refusal>},
      {"POST", "/api/push", nullptr, answer_whole<ollama_refusal>},
      {"POST", "/api/create", nullptr, answer_whole<ollama_refusal>},
      {"POST", "/api/copy", nullptr, answer_whole<ollama_refusal>},
      {"DELETE", "/api/delete", nullptr, answer_whole<ollama_refusal>},
      {"GET", "/api/blobs/", nullptr, answer_whole<ollama_refusal>},
      {"POST", "/api/blobs/", nullptr, answer_whole<ollama_refusal>},
      {"POST", "/tokenize", nullptr, answer_whole<tokenize_text>},
      {"POST", "/detokenize", nullptr, answer_whole<detokenize_tokens>},
      {"POST", "/apply-template", nullptr, answer_whole<apply_template>},
  };
  const std::string_view path = without_version(request.path);
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  const auto is_of = [&](const Route& route) {
    return route.path.ends_with('/') && route.path.size() > 1 ? path.starts_with(route.path)
                                                              : path == route.path;
  };
  const Route* other_method = nullptr;
  for (const Route& route : kRoutes) {
    if (!is_of(route)) continue;
    if (route.method == method) return &route;
    other_method = &route;
  }
  if (other_method != nullptr) {
    throw ApiError(
        405, fmt::format("{}: expected {}, found {}", request.path, other_method->method, request.method));
  }
  return nullptr;
}

Router::Router(Service& service, RouterOptions options, Later later)
    : service_(service), options_(std::move(options)), later_(std::move(later)) {}

void Router::handle(HttpRequest request, const Exchange& exchange) {
  try {
    if (check_origin(request)) allow_origin(request, *exchange);
    if (request.method == "OPTIONS")
      return exchange->send({204, "text/plain", "", {{"Allow", "GET, POST, OPTIONS"}}});
    const Route* const route = find(request);
    if (route == nullptr) throw ApiError(404, fmt::format("{}: expected a path that there is", request.path));
    serve(*route, std::move(request), exchange);
  } catch (const ApiError& error) {
    exchange->send(error_for(request, error));
  }
}

void Router::serve(const Route& route, HttpRequest request, const Exchange& exchange) {
  std::string share = route.open ? "" : check_key(request);
  if (route.at_once != nullptr) return exchange->send(route.at_once(service_, request));
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  exchange->on_gone([gone] { *gone = true; });
  auto asked = std::make_shared<ApiRequest>(ApiRequest{std::move(request), std::move(share), gone});
  later_([this, &route, asked, exchange] {
    std::optional<ApiError> fault;
    try {
      return route.as_it_can(service_, *asked, exchange);
    } catch (const ApiError& error) {
      fault = error;
    } catch (const std::exception& error) {
      fault.emplace(500, error.what());
    }
    exchange->post(
        [exchange, reply = error_for(asked->http, *fault)]() mutable { exchange->send(std::move(reply)); });
  });
}

// A browser says which page asks: pages from elsewhere are not to use what only this machine can reach. True: the page
// is one of those that were named.
bool Router::check_origin(const HttpRequest& request) const {
  if (request.origin.empty()) return false;
  const auto& origins = options_.origins;
  if (std::ranges::count(origins, "*") > 0 || std::ranges::count(origins, request.origin) > 0) return true;
  const std::size_t scheme = request.origin.find("://");
  const bool same = scheme != std::string::npos && request.origin.substr(scheme + 3) == request.host;
  if (!same || !(options_.keys.wanted() || is_no_name(request.host)))
    throw ApiError(403, "Origin: expected a page of this server, or one that --cors names");
  return false;
}

// https://fetch.spec.whatwg.org/#http-cors-protocol
void Router::allow_origin(const HttpRequest& request, HttpExchange& exchange) {
  exchange.add_header("Access-Control-Allow-Origin", request.origin);
  exchange.add_header("Vary", "Origin");
  if (request.method != "OPTIONS") return;
  exchange.add_header("Access-Control-Allow-Methods", "GET, POST, DELETE");
  exchange.add_header("Access-Control-Allow-Headers", request.asked_headers);
  exchange.add_header("Access-Control-Max-Age", "86400");
}

std::string Router::check_key(const HttpRequest& request) const {
  const auto share = options_.keys.share_of(request.authorization);
  if (!share)
    throw ApiError(401, "Authorization: expected Bearer and a key that this server knows", "",
                   "invalid_api_key");
  return *share;
}

}  // namespace llamajit::serve
