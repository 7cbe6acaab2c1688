#include "tools/common/log.h"

#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "tools/common/printable.h"

namespace llamajit::cli {
namespace {

class LineFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& to) override {
    fmt::format_to(std::back_inserter(to), "{}: {}\n",
                   std::string_view(message.logger_name.data(), message.logger_name.size()),
                   printable({message.payload.data(), message.payload.size()}));
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<LineFormatter>(); }
};

}  // namespace

void log_to_standard_error() {
  auto logger =
      std::make_shared<spdlog::logger>("llamajit", std::make_shared<spdlog::sinks::stderr_sink_st>());
  logger->set_formatter(std::make_unique<LineFormatter>());
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace llamajit::cli
