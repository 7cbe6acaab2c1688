// Connections, on Boost.Beast: requests come in whole, answers go out as they are made.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tools/serve/http_exchange.h"

namespace llamajit::serve {

struct HttpLimits {
  std::size_t header_bytes = std::size_t{64} << 10;
  std::size_t body_bytes = std::size_t{16} << 20;
  std::size_t connections = 512;
  std::chrono::seconds header_time{15};             // from a request's first byte to the end of its header
  std::chrono::seconds body_time{120};              // to the end of its body
  std::chrono::seconds idle_time{75};               // between requests
  std::chrono::seconds stalled_time{60};            // a write that does not move
  std::size_t unread_bytes = std::size_t{4} << 20;  // of an answer that its reader has not taken
};

struct HttpCounts {
  std::uint64_t accepted = 0;
  std::size_t open = 0;
};

// One thread, in run(), does everything.
class HttpServer {
 public:
  // Given a request whose header and body are whole. It must answer, sooner or later.
  using Handler = std::function<void(HttpRequest, std::shared_ptr<HttpExchange>)>;

  // Listens. Throws std::runtime_error that names address and port, or the call that the system refuses (see
  // event_check.h). Port 0: one that is free.
  HttpServer(const std::string& host, std::uint16_t port, const HttpLimits& limits, Handler handler);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  std::uint16_t port() const;
  HttpCounts counts() const;
  // Until all connections are closed after SIGTERM or SIGINT, of which the first calls `draining` and lets those
  // with a request at work finish it, and the second closes all. Calls `begins` once it waits for them; before, they end
  // the program at once. One that is ignored stays so.
  void run(const std::function<void()>& begins, const std::function<void()>& draining);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace llamajit::serve
