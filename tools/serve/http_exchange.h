// A request over HTTP, and the way back to who sent it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llamajit::serve {

struct HttpRequest {
  std::string method;
  std::string path;           // without the query, %XX decoded
  std::string query;          // behind '?', as it came
  std::string authorization;  // the header of that name, or x-api-key as if it were there
  std::string content_type;   // likewise
  std::string origin;         // likewise
  std::string host;           // likewise
  std::string asked_headers;  // Access-Control-Request-Headers
  std::string body;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  HttpHeaders headers{};
};

// The network's thread calls all of it, but for post().
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  // For the head of the answer, before it.
  virtual void add_header(const std::string& name, const std::string& value) = 0;
  // The whole answer.
  virtual void send(HttpReply reply) = 0;
  // Or its head, then pieces as they come, and the end. What was begun is ended, or broken off: then the client
  // sees that something is missing.
  virtual void begin(const HttpReply& head) = 0;
  virtual void write(std::string_view bytes) = 0;
  virtual void end() = 0;
  virtual void break_off() = 0;
  // Calls `gone` when nobody reads the answer any more, or at once where that is so already; not after its end.
  virtual void on_gone(std::function<void()> gone) = 0;
  // Calls `tick` every so many seconds in which nothing was written, between begin() and the end.
  virtual void on_quiet(int seconds, std::function<void()> tick) = 0;
  // Runs it on the network's thread; any thread may ask for it.
  virtual void post(std::function<void()> run) = 0;
};

}  // namespace llamajit::serve
