// These tables say what each kernel costs, as numbers.
#include <cmath>

#include <fmt/format.h>

#include "tools/report/report.h"

namespace llamajit::cli {
namespace {

class TableWriter {
 public:
  TableWriter(Html& html, const Report& report) : html_(html), report_(report) {}

  void write(std::string_view title, const Profile& profile) {
    html_.element("h3", title);
    html_.open("div", {{"class", "scroll"}, {"tabindex", "0"}}).open("table");
    head();
    html_.open("tbody");
    for (const KernelRow& row : report_.kernels.rows) {
      if (const KernelProfile* entry = profile.find(*row.kernel)) line(row, profile, *entry);
    }
    html_.close();
    if (report_.measurements) total(profile);
    html_.close().close();
  }

  void write_uncalled() {
    std::vector<const jit::KernelInfo*> uncalled;
    for (const KernelRow& row : report_.kernels.rows) {
      if (report_.kernels.token.find(*row.kernel) != nullptr) continue;
      if (report_.kernels.prompt.find(*row.kernel) != nullptr) continue;
      uncalled.push_back(row.kernel);
    }
    if (uncalled.empty()) return;
    html_.open("p").text(report_.measurements ? "Called by neither: " : "Not called by such a token: ");
    for (std::size_t i = 0; i < uncalled.size(); ++i) {
      if (i > 0) html_.text(", ");
      kernel_link(html_, report_, *uncalled[i]);
    }
    html_.text(" (sampling takes the softmax, prompts the kernels for several tokens).").close();
  }

 private:
  void head() {
    html_.open("thead").open("tr");
    html_.element("th", "#").element("th", "kernel", {{"class", "words"}});
    html_.element("th", "shape", {{"class", "words shape"}}).element("th", "calls");
    if (report_.measurements) {
      html_.element("th", "ns a call").element("th", "share").element("th", "GB/s").element("th", "Gop/s");
      if (has_roofs()) html_.element("th", "of roof");
    }
    html_.element("th", "bytes");
    if (generates()) html_.element("th", "instr.");
    html_.close().close();
  }

  void line(const KernelRow& row, const Profile& profile, const KernelProfile& entry) {
    html_.open("tr").element("td", std::to_string(report_.number(*row.kernel)));
    html_.open("td", {{"class", "words"}});
    kernel_link(html_, report_, *row.kernel);
    html_.close();
    html_.element("td", jit::kernel_shape(row.kernel->key), {{"class", "words shape"}});
    html_.element("td", grouped(entry.calls));
    if (report_.measurements) times(profile, entry);
    html_.element("td", grouped(static_cast<std::int64_t>(row.kernel->size)));
    if (generates()) html_.element("td", grouped(row.listing.instructions));
    html_.close();
  }

  void times(const Profile& profile, const KernelProfile& entry) {
    const double share = profile.share(*entry.kernel);
    const Performance p = performance(entry, report_.measurements->roofs.value_or(Roofs{}));
    html_.element("td", grouped(std::llround(entry.seconds * 1e9 / entry.calls)));
    html_.element("td", percent(share), {{"class", "heat"}, {"style", heat(share)}});
    html_.element("td", fmt::format("{:.1f}", p.bytes_per_second / 1e9));
    html_.element("td",
                  entry.work.operations > 0 ? fmt::format("{:.1f}", p.operations_per_second / 1e9) : "–");
    if (has_roofs()) html_.element("td", fmt::format("{:.0f}%", 100 * p.roof_share));
  }

  void total(const Profile& profile) {
    int calls = 0;
    double share = 0;
    for (const KernelRow& row : report_.kernels.rows) {
      const KernelProfile* entry = profile.find(*row.kernel);
      calls += entry != nullptr ? entry->calls : 0;
      share += profile.share(*row.kernel);
    }
    html_.open("tfoot").open("tr").element("td", "").element("td", "together", {{"class", "words"}});
    html_.element("td", "", {{"class", "shape"}})
        .element("td", grouped(calls))
        .element("td", "")
        .element("td", percent(share));
    for (int i = 0; i < (has_roofs() ? 4 : 3); ++i) html_.element("td", "");
    if (generates()) html_.element("td", "");
    html_.close().close();
  }

  bool has_roofs() const { return report_.measurements && report_.measurements->roofs; }
  bool generates() const { return report_.kernels.isa.generates(); }

  Html& html_;
  const Report& report_;
};

}  // namespace

void write_tables(Html& html, const Report& report) {
  html.open("section", {{"id", "kernels"}}).element("h2", "Kernels");
  TableWriter tables(html, report);
  if (!report.measurements) {
    tables.write("One token", report.kernels.token);
  } else {
    const Profile& token = report.kernels.token;
    const Profile& prompt = report.kernels.prompt;
    tables.write(fmt::format("One token, at position {}: {} µs in kernels", token.position,
                             grouped(std::llround(token.seconds * 1e6))),
                 token);
    tables.write(fmt::format("A prompt of {} tokens: {} µs in kernels", prompt.tokens,
                             grouped(std::llround(prompt.seconds * 1e6))),
                 prompt);
  }
  tables.write_uncalled();
  if (report.measurements) {
    html.element("p",
                 "Each call is timed by itself: of a token's calls the median of many repeats, of a prompt's "
                 "the fastest run. GB/s counts what a kernel must read and write, each byte once; Gop/s the "
                 "formula's additions and multiplications. Shares of a roof are of the nearer limit, "
                 "bandwidth or arithmetic. More than 100% means that the data came from a cache nearer than "
                 "the one the limit was measured on.",
                 {{"class", "small"}});
  }
  html.close();
}

}  // namespace llamajit::cli
