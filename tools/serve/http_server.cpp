#include "tools/serve/http_server.h"

#include <csignal>
#include <list>
#include <stdexcept>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include "tools/common/signals.h"
#include "tools/serve/event_check.h"
#include "tools/serve/http_session.h"

namespace llamajit::serve {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const std::string& host, std::uint16_t port, const HttpLimits& limits, Handler handler)
      : limits_(limits), handler_(std::move(handler)), acceptor_(context_), signals_(context_) {
    check_events();
    try {
      listen(host, port);
    } catch (const boost::system::system_error& error) {
      throw std::runtime_error(
          fmt::format("{}:{}: expected an address to listen at: {}", host, port, error.code().message()));
    }
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  HttpCounts counts() {
    forget_closed();
    return {accepted_, sessions_.size()};
  }

  void run(const std::function<void()>& begins, const std::function<void()>& draining) {
    accept();
    for (const int signal : {SIGINT, SIGTERM}) {
      if (!cli::is_ignored(signal)) signals_.add(signal);
    }
    signals_.async_wait([&](boost::system::error_code error, int) {
      if (error) return;
      draining();
      // Before drain(), which takes it back at once where no connection is open.
      signals_.async_wait([this](boost::system::error_code second, int) {
        if (!second) close_all();
      });
      drain();
    });
    begins();
    context_.run();
  }

 private:
  void listen(const std::string& host, std::uint16_t port) {
    tcp::resolver resolver(context_);
    const tcp::endpoint endpoint =
        resolver.resolve(host, std::to_string(port), tcp::resolver::passive)->endpoint();
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    if (endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));
    acceptor_.bind(endpoint);
    acceptor_.listen();
  }

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
      if (!error) begin(std::move(socket));
      if (error) return retry();  // too many open files, mostly: some will be closed
      accept();
    });
  }

  void retry() {
    retry_timer_.expires_after(std::chrono::milliseconds(100));
    retry_timer_.async_wait([this](boost::system::error_code error) {
      if (!error && acceptor_.is_open()) accept();
    });
  }

  void begin(tcp::socket socket) {
    ++accepted_;
    forget_closed();
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const auto session = std::make_shared<HttpSession>(std::move(socket), limits_, handler_);
    const bool full = sessions_.size() >= limits_.connections;
    sessions_.push_back(session);
    full ? session->refuse() : session->run();
  }

  void forget_closed() {
    sessions_.remove_if([](const std::weak_ptr<HttpSession>& session) { return session.expired(); });
  }

  template <class Do>
  void for_each_session(Do&& what) {
    const auto sessions = sessions_;
    for (const auto& weak : sessions) {
      if (const auto session = weak.lock()) what(*session);
    }
  }

  void drain() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_timer_.cancel();
    for_each_session([](HttpSession& session) { session.drain(); });
    look_for_the_end();
  }

  // Until no connection is left: then nothing keeps the context but the wait for a second signal.
  void look_for_the_end() {
    forget_closed();
    if (sessions_.empty()) return signals_.cancel();
    retry_timer_.expires_after(std::chrono::milliseconds(20));
    retry_timer_.async_wait([this](boost::system::error_code error) {
      if (!error) look_for_the_end();
    });
  }

  void close_all() {
    for_each_session([](HttpSession& session) { session.close(); });
  }

  HttpLimits limits_;
  Handler handler_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  asio::signal_set signals_;
  asio::steady_timer retry_timer_{context_};
  std::list<std::weak_ptr<HttpSession>> sessions_;
  std::uint64_t accepted_ = 0;
};

HttpServer::HttpServer(const std::string& host, std::uint16_t port, const HttpLimits& limits, Handler handler)
    : impl_(std::make_unique<Impl>(host, port, limits, std::move(handler))) {}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const {
  return impl_->port();
}

HttpCounts HttpServer::counts() const {
  return impl_->counts();
}

void HttpServer::run(const std::function<void()>& begins, const std::function<void()>& draining) {
  impl_->run(begins, draining);
}

}  // namespace llamajit::serve
