#include "tools/serve/replies.h"

#include <fmt/format.h>

namespace llamajit::serve {
namespace {

HttpReply reply_of(const ApiError& error, const Json& body) {
  HttpReply reply{error.status, "application/json", text_of(body), {}};
  if (error.retry_after > 0) reply.headers.emplace_back("Retry-After", fmt::to_string(error.retry_after));
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

// https://platform.claude.com/docs/en/api/errors
std::string anthropic_error_type(int status) {
  switch (status) {
    case 403:
      return "permission_error";
    case 413:
      return "request_too_large";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? error_type(status) : "api_error";
  }
}

}  // namespace

std::string error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

HttpReply json_reply(const Json& json) {
  return {200, "application/json", text_of(json), {}};
}

HttpReply error_reply(const ApiError& error) {
  return reply_of(error, {{"error",
                           {{"message", error.what()},
                            {"type", error_type(error.status)},
                            {"param", text_or_null(error.param)},
                            {"code", text_or_null(error.code)}}}});
}

HttpReply plain_error_reply(const ApiError& error) {
  return reply_of(error, {{"error", error.what()}});
}

HttpReply anthropic_error_reply(const ApiError& error) {
  Json body = anthropic_error(error.status, error.what());
  if (!error.code.empty()) body["error"]["details"] = {{"error_code", error.code}};
  return reply_of(error, body);
}

Json anthropic_error(int status, const std::string& message) {
  return {{"type", "error"}, {"error", {{"type", anthropic_error_type(status)}, {"message", message}}}};
}

}  // namespace llamajit::serve
