#include "tools/common/sandboxed.h"

#include <filesystem>
#include <stdexcept>
#include <string_view>

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "runtime/base/file_replacement.h"
#include "tools/common/ranks.h"

namespace llamajit::cli {

void add_sandbox(CLI::App& sub, bool& wanted) {
  sub.add_flag("!--no-sandbox", wanted,
               "Keep what a loaded model has no use for: files, programs, network, new code")
      ->group("Machine");
}

bool can_be_sandboxed(bool wanted, const jit::inspect::PublicationOptions& publication) {
  std::string_view why = sandbox::reason_against();
  if (publication.gdb) why = "gdb is shown the kernels";
  if (is_one_of_ranks()) why = "MPI opens connections and files as it goes";
  if (!wanted) why = "--no-sandbox";
  if (why.empty()) return true;
  spdlog::debug("no sandbox: {}", why);
  return false;
}

void enter_sandbox(const sandbox::Needs& needs) {
  const sandbox::Report report = sandbox::close(needs);
  if (!report.held.empty()) spdlog::debug("sandbox: {}", fmt::join(report.held, ", "));
  for (const std::string& folder : needs.folders) spdlog::debug("sandbox: files in {} can be used", folder);
  for (const std::string& missing : report.missing) spdlog::debug("sandbox: not held: {}", missing);
}

std::string real_folder(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) throw std::runtime_error(fmt::format("{}: {}", path, error.message()));
  return real.string();
}

std::string folder_of(const std::string& path) {
  return real_folder(std::filesystem::absolute(written_file(path)).parent_path().string());
}

}  // namespace llamajit::cli
