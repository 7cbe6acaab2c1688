#include "tools/serve/http_session.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>

#include "tools/serve/url.h"

namespace llamajit::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::chrono::seconds kLinger{2};

// What may stand in a host and its port (RFC 3986, 3.2.2).
bool is_host(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-._~%!$&'()*+,;=[]:").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::string header_text(const http::request<http::string_body>& request, http::field field) {
  const auto value = request[field];
  return {value.data(), value.size()};
}

// Anthropic's clients send their key in a header of its own.
std::string authorization(const http::request<http::string_body>& request) {
  const auto key = request["x-api-key"];
  if (request.count(http::field::authorization) > 0 || key.empty())
    return header_text(request, http::field::authorization);
  return "Bearer " + std::string(key.data(), key.size());
}

// A target may name the server, too: http://host/path (RFC 9112, 3.2.2).
std::string_view path_of(std::string_view target) {
  constexpr std::size_t kScheme = std::string_view("http://").size();
  const std::string_view begin = target.substr(0, kScheme);
  if (!beast::iequals(beast::string_view(begin.data(), begin.size()), "http://")) return target;
  const std::size_t slash = target.find('/', kScheme);
  return slash == std::string_view::npos ? "/" : target.substr(slash);
}

HttpRequest plain(http::request<http::string_body>&& request) {
  const auto method = request.method_string(), target = request.target();
  const std::string_view whole(target.data(), target.size());
  const std::size_t mark = whole.find('?');
  return {.method = {method.data(), method.size()},
          .path = percent_decoded(path_of(whole.substr(0, mark))),
          .query = mark == std::string_view::npos ? "" : std::string(whole.substr(mark + 1)),
          .authorization = authorization(request),
          .content_type = header_text(request, http::field::content_type),
          .origin = header_text(request, http::field::origin),
          .host = header_text(request, http::field::host),
          .asked_headers = header_text(request, http::field::access_control_request_headers),
          .body = std::move(request.body())};
}

template <class Response>
void fill(Response& response, const HttpReply& reply, const HttpHeaders& more) {
  response.set(http::field::server, "llamajit");
  response.set(http::field::content_type, reply.content_type);
  for (const auto& [name, value] : reply.headers) response.set(name, value);
  for (const auto& [name, value] : more) response.set(name, value);
}

std::string head_text(const http::response<http::empty_body>& response) {
  std::ostringstream text;
  text << response.base();
  return text.str();
}

// As the API of the path has it.
std::string fault(std::string_view message, std::string_view target = {}) {
  if (target.starts_with("/api/")) return fmt::format(R"({{"error":"{}"}})", message);
  return fmt::format(
      R"({{"error":{{"message":"{}","type":"invalid_request_error","param":null,"code":null}}}})", message);
}

}  // namespace

HttpSession::HttpSession(asio::ip::tcp::socket socket, const HttpLimits& limits,
                         const HttpServer::Handler& handler)
    : stream_(std::move(socket)),
      quiet_timer_(stream_.get_executor()),
      limits_(limits),
      handler_(handler),
      buffer_(limits.header_bytes + limits.body_bytes) {}

void HttpSession::refuse() {
  refuse_with({503, "application/json", fault("server: too many connections"), {{"Retry-After", "1"}}});
}

void HttpSession::refuse_with(HttpReply reply) {
  keep_alive_ = false;
  refused_ = true;
  state_ = State::answering;
  send(std::move(reply));
}

void HttpSession::drain() {
  draining_ = true;
  if (state_ == State::reading) close();
}

void HttpSession::close() {
  if (state_ == State::closed) return;
  const bool answering = state_ != State::reading;
  state_ = State::closed;
  quiet_timer_.cancel();
  Error ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  stream_.close();
  tick_ = nullptr;
  if (const auto gone = std::exchange(gone_, nullptr); answering && gone) gone();
}

void HttpSession::post(std::function<void()> run) {
  asio::post(stream_.get_executor(), std::move(run));
}

// --- reading

void HttpSession::read_request() {
  state_ = State::reading;
  gone_ = nullptr;
  headers_.clear();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
  parser_->body_limit(limits_.body_bytes);
  if (buffer_.size() > 0) return read_header();
  stream_.expires_after(limits_.idle_time);
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](Error error, std::size_t bytes) {
    if (self->state_ == State::closed) return;
    if (error) return self->close();
    self->buffer_.commit(bytes);
    self->read_header();
  });
}

void HttpSession::read_header() {
  stream_.expires_after(limits_.header_time);
  http::async_read_header(stream_, buffer_, *parser_,
                          [self = shared_from_this()](Error error, std::size_t) { self->on_header(error); });
}

void HttpSession::on_header(Error error) {
  if (state_ == State::closed) return;
  if (error) return refuse_request(error);
  version_ = parser_->get().version();
  keep_alive_ = parser_->get().keep_alive();
  head_only_ = parser_->get().method() == http::verb::head;
  if (refuse_unclear()) return;
  if (version_ >= 11 && beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    put("HTTP/1.1 100 Continue\r\n\r\n");
  }
  read_body();
}

// Where a body that is coded in an unknown way ends can't be known: what follows would be taken for another request
// (RFC 9112, 6.3). Of two hosts a server before this one might have looked at the other one (3.2).
bool HttpSession::refuse_unclear() {
  const auto refuse = [&](int status, const char* message) {
    refuse_with({status, "application/json", fault(message, target())});
    return true;
  };
  const auto& request = parser_->get();
  const std::size_t hosts = request.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && version_ >= 11)) return refuse(400, "Host: expected one");
  if (!is_host(header_text(request, http::field::host)))
    return refuse(400, "Host: expected a host and a port");
  const auto transfer = request[http::field::transfer_encoding];
  if (!transfer.empty() && !beast::iequals(transfer, "chunked")) {
    return refuse(400, "Transfer-Encoding: expected chunked or none");
  }
  const auto content = request[http::field::content_encoding];
  if (!content.empty() && !beast::iequals(content, "identity")) {
    return refuse(415, "Content-Encoding: expected none");
  }
  return false;
}

std::string_view HttpSession::target() const {
  const auto target = parser_->get().target();
  return {target.data(), target.size()};
}

void HttpSession::read_body() {
  if (sending_.empty()) stream_.expires_after(limits_.body_time);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](Error error, std::size_t) { self->on_body(error); });
}

void HttpSession::on_body(Error error) {
  if (state_ == State::closed) return;
  if (error) return refuse_request(error);
  hand_over();
}

void HttpSession::hand_over() {
  state_ = State::answering;
  HttpRequest request = plain(parser_->release());
  parser_.reset();
  watch();
  handler_(std::move(request), shared_from_this());
}

// Says what is wrong with it where that can be said, and closes in any case.
void HttpSession::refuse_request(Error error) {
  if (error == http::error::header_limit) {
    return refuse_with({431, "application/json", fault("header: expected a smaller one")});
  }
  if (error == http::error::body_limit) {
    return refuse_with({413, "application/json",
                        fault(fmt::format("body: expected at most {} bytes", limits_.body_bytes), target())});
  }
  const bool malformed = error.category() == http::make_error_code(http::error::bad_method).category();
  if (malformed && error != http::error::end_of_stream && error != http::error::partial_message) {
    return refuse_with({400, "application/json", fault("request: expected HTTP/1.1")});
  }
  close();  // nobody is to be told
}

// Reads what still comes and throws it away: closed at once, the system would take back the answer that says why.
void HttpSession::linger() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(65536), [self = shared_from_this()](Error error, std::size_t) {
    if (error) return self->close();
    self->linger();
  });
}

// --- while a request is answered

void HttpSession::watch() {
  watching_ = true;
  stream_.expires_never();
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](Error error, std::size_t bytes) {
    self->on_watched(error, bytes);
  });
}

void HttpSession::on_watched(Error error, std::size_t bytes) {
  watching_ = false;
  if (state_ == State::closed) return;
  buffer_.commit(bytes);
  const bool stopped = error == asio::error::operation_aborted;
  if (error && !stopped) {
    keep_alive_ = false;
    if (state_ != State::flushing) close();  // an answer that is there already may still be read
    return;
  }
  if (state_ == State::reading) return read_request();
  // Requests may come before the answer to the one before them; beyond some, they wait in the system's buffers, and
  // then only writing tells that nobody is there.
  if (!stopped && buffer_.size() < limits_.header_bytes) watch();
}

void HttpSession::on_gone(std::function<void()> gone) {
  if (state_ == State::closed) return gone();  // before anybody asked
  gone_ = std::move(gone);
}

void HttpSession::on_quiet(int seconds, std::function<void()> tick) {
  if (state_ == State::closed) return;
  quiet_seconds_ = seconds;
  tick_ = std::move(tick);
  wait_quiet();
}

void HttpSession::wait_quiet() {
  if (!tick_) return;
  quiet_timer_.expires_after(std::chrono::seconds(quiet_seconds_));
  quiet_timer_.async_wait([self = shared_from_this()](Error error) {
    if (error || !self->tick_) return;
    self->tick_();
    self->wait_quiet();
  });
}

// --- writing

void HttpSession::send(HttpReply reply) {
  if (state_ != State::answering) return;
  http::response<http::empty_body> response(http::int_to_status(static_cast<unsigned>(reply.status)),
                                            version_);
  fill(response, reply, headers_);
  response.keep_alive(keep_alive_ && !draining_);
  response.content_length(reply.body.size());
  std::string text = head_text(response);
  if (!head_only_) text += reply.body;
  state_ = State::flushing;
  put(text);
}

void HttpSession::begin(const HttpReply& head) {
  if (state_ != State::answering) return;
  http::response<http::empty_body> response(http::int_to_status(static_cast<unsigned>(head.status)),
                                            version_);
  fill(response, head, headers_);
  chunked_ = version_ >= 11;
  if (!chunked_) keep_alive_ = false;
  response.keep_alive(keep_alive_ && !draining_);
  if (chunked_) response.chunked(true);
  state_ = State::streaming;
  put(head_text(response));
}

void HttpSession::write(std::string_view bytes) {
  if (state_ != State::streaming || bytes.empty()) return;
  if (unsent_.size() > limits_.unread_bytes) return close();
  put(chunked_ ? beast::buffers_to_string(http::make_chunk(asio::buffer(bytes.data(), bytes.size())))
               : std::string(bytes));
  if (tick_) wait_quiet();
}

void HttpSession::end() {
  if (state_ != State::streaming) return;
  tick_ = nullptr;
  quiet_timer_.cancel();
  state_ = State::flushing;
  put(chunked_ ? beast::buffers_to_string(http::make_chunk_last()) : std::string());
}

void HttpSession::break_off() {
  if (state_ == State::closed) return;
  gone_ = nullptr;
  tick_ = nullptr;
  keep_alive_ = false;
  state_ = State::flushing;  // of pieces, the last one is missing then
  flush();
}

void HttpSession::put(std::string_view bytes) {
  unsent_ += bytes;
  flush();
}

void HttpSession::flush() {
  if (!sending_.empty() || state_ == State::closed) return;
  if (unsent_.empty()) {
    if (state_ == State::flushing) finish_answer();
    return;
  }
  std::swap(sending_, unsent_);
  sent_ = 0;
  send_more();
}

// A piece at a time: each that moves has its own time.
void HttpSession::send_more() {
  stream_.expires_after(limits_.stalled_time);
  stream_.async_write_some(
      asio::buffer(sending_) + sent_,
      [self = shared_from_this()](Error error, std::size_t bytes) { self->on_written(error, bytes); });
}

void HttpSession::on_written(Error error, std::size_t bytes) {
  if (state_ == State::closed) return;
  if (error) return close();
  sent_ += bytes;
  if (sent_ < sending_.size()) return send_more();
  sending_.clear();
  flush();
}

void HttpSession::finish_answer() {
  gone_ = nullptr;
  state_ = State::reading;
  if (refused_) {
    Error ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kLinger);
    return linger();
  }
  if (!keep_alive_ || draining_) return close();
  if (watching_) {
    stream_.cancel();  // on_watched() goes on
  } else {
    read_request();
  }
}

}  // namespace llamajit::serve
