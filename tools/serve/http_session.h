// One connection. For http_server.cpp alone: these headers take long to compile.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "tools/serve/http_server.h"

namespace llamajit::serve {

// Reads requests one after the other and watches the connection while one is answered, so that who goes away is
// noticed at once. It lives as long as one of its operations, or an answer, is under way.
class HttpSession : public HttpExchange, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(boost::asio::ip::tcp::socket socket, const HttpLimits& limits,
              const HttpServer::Handler& handler);

  void run() { read_request(); }
  // Answers one that is not to be served, and closes.
  void refuse();
  // Closes now if it is idle, else after the answer at work.
  void drain();
  void close();

  void add_header(const std::string& name, const std::string& value) override {
    headers_.emplace_back(name, value);
  }
  void send(HttpReply reply) override;
  void begin(const HttpReply& head) override;
  void write(std::string_view bytes) override;
  void end() override;
  void break_off() override;
  void on_gone(std::function<void()> gone) override;
  void on_quiet(int seconds, std::function<void()> tick) override;
  void post(std::function<void()> run) override;

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Error = boost::beast::error_code;

  enum class State : std::uint8_t { reading, answering, streaming, flushing, closed };

  void read_request();
  void read_header();
  void on_header(Error error);
  void refuse_with(HttpReply reply);
  bool refuse_unclear();
  std::string_view target() const;
  void read_body();
  void on_body(Error error);
  void hand_over();
  void refuse_request(Error error);
  void linger();
  void watch();
  void on_watched(Error error, std::size_t bytes);
  void put(std::string_view bytes);
  void flush();
  void send_more();
  void on_written(Error error, std::size_t bytes);
  void finish_answer();
  void wait_quiet();

  boost::beast::tcp_stream stream_;
  boost::asio::steady_timer quiet_timer_;
  HttpLimits limits_;
  const HttpServer::Handler& handler_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  State state_ = State::reading;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool head_only_ = false;
  bool draining_ = false;
  bool watching_ = false;
  bool refused_ = false;
  unsigned version_ = 11;
  HttpHeaders headers_;  // of the answer
  std::string unsent_;
  std::string sending_;
  std::size_t sent_ = 0;  // of it
  std::function<void()> gone_;
  std::function<void()> tick_;
  int quiet_seconds_ = 0;
};

}  // namespace llamajit::serve
