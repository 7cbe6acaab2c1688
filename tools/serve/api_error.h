// What a request gets that can't be served as it is.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace llamajit::serve {

// The message names the field, what was expected and what was found. Statuses are those that clients do not try again
// for nothing: 400 for what is wrong in the request, 401, 404, 405, 413, and 429 or 503 with Retry-After.
struct ApiError : std::runtime_error {
  ApiError(int status_, const std::string& message, std::string param_ = {}, std::string code_ = {})
      : std::runtime_error(message), status(status_), param(std::move(param_)), code(std::move(code_)) {}

  int status;
  std::string param;    // the field; empty: none
  std::string code;     // for programs; empty: none
  int retry_after = 0;  // seconds; 0: not said
};

}  // namespace llamajit::serve
