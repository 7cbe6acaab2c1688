// Kernels' listings, their lines shaded by where samples found the processor.
#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "jit/inspect/contract.h"
#include "tools/report/report.h"

namespace llamajit::cli {
namespace {

using jit::inspect::ListingLine;

// Fewer say nothing about single lines.
constexpr std::int64_t kEnoughSamples = 20;

class ListingWriter {
 public:
  ListingWriter(Html& html, const Report& report, const KernelRow& row)
      : html_(html), report_(report), row_(row), number_(report.number(*row.kernel)) {
    if (!report.measurements) return;
    const Measurements& m = *report.measurements;
    of_token_ = report.kernels.token.find(*row.kernel) != nullptr;
    samples_ = of_token_ ? &m.token_samples : &m.prompt_samples;
    if (samples_->at.empty()) {
      samples_ = nullptr;
      return;
    }
    total_ = in(0, row.listing.code_bytes());
    for (const ListingLine& line : row.listing.lines) {
      if (line.kind == ListingLine::Kind::instruction) hottest_ = std::max(hottest_, of(line));
    }
  }

  void write(bool unfolded) {
    if (unfolded) {
      html_.open("details", {{"id", kernel_anchor(number_)}, {"open", ""}});
    } else {
      html_.open("details", {{"id", kernel_anchor(number_)}});
    }
    summary();
    html_.element("p", jit::inspect::kernel_formula(row_.kernel->key), {{"class", "formula"}});
    html_.element("p", jit::inspect::key_text(row_.kernel->key), {{"class", "small"}});
    if (row_.listing.lines.empty()) {
      html_.element("p", "The scalar tier runs the kernel's C++ twin: there is no generated code.");
    } else {
      sampling();
      loops();
      listing();
    }
    html_.close();
  }

 private:
  std::int64_t in(std::uint32_t begin, std::uint32_t end) const {
    return samples_ == nullptr ? 0 : samples_->in(row_.kernel->offset + begin, row_.kernel->offset + end);
  }
  std::int64_t of(const ListingLine& line) const { return in(line.offset, line.offset + line.size); }
  bool shaded() const { return total_ >= kEnoughSamples; }
  double share(std::int64_t samples) const {
    return static_cast<double>(samples) / static_cast<double>(total_);
  }

  void summary() {
    html_.open("summary").element("span", std::to_string(number_), {{"class", "number"}});
    html_.element("code", row_.kernel->name);
    std::string facts;
    if (report_.measurements) {
      const Profile& token = report_.kernels.token;
      const Profile& prompt = report_.kernels.prompt;
      if (of_token_) {
        facts = percent(token.share(*row_.kernel)) + " of the token";
      } else if (prompt.find(*row_.kernel) != nullptr) {
        facts = percent(prompt.share(*row_.kernel)) + " of the prompt";
      }
    }
    html_.element("span", facts, {{"class", "facts"}}).close();
  }

  void sampling() {
    if (samples_ == nullptr) return;
    std::string text = fmt::format("{} samples in this kernel while whole {} were run", grouped(total_),
                                   of_token_ ? "tokens" : "prompts");
    if (!shaded()) text += ": too few to tell its lines apart, so none is shaded";
    html_.open("p", {{"class", "small"}}).text(text + ". ");
    if (shaded()) html_.element("a", "To the hottest line", {{"href", fmt::format("#{}", hot_anchor())}});
    html_.close();
  }
  std::string hot_anchor() const { return kernel_anchor(number_) + "-hot"; }

  // Loops by their share, those within others too.
  void loops() {
    if (!shaded()) return;
    auto found = row_.listing.annotations.loops;
    std::ranges::stable_sort(found, std::greater{}, [&](const auto& l) { return in(l.begin, l.end); });
    html_.open("ul", {{"class", "loops"}});
    for (const auto& loop : found) {
      const double part = share(in(loop.begin, loop.end));
      if (part < 0.01) break;
      const auto inside = std::ranges::count_if(row_.listing.lines, [&](const ListingLine& line) {
        return line.kind == ListingLine::Kind::instruction && loop.begin <= line.offset &&
               line.offset < loop.end;
      });
      html_.open("li").element("b", percent(part)).text(" in the loop ").element("code", loop.name);
      html_.text(fmt::format(", {:04x} to {:04x}: {} instructions", loop.begin, loop.end, inside));
      if (loop.turns > 0) html_.text(fmt::format(", {} turns", grouped(loop.turns)));
      html_.close();
    }
    html_.close();
  }

  void listing() {
    html_.open("div", {{"class", "scroll code"}, {"tabindex", "0"}}).open("pre");
    bool hot_seen = false;
    for (const ListingLine& line : row_.listing.lines) {
      const bool counts = shaded() && line.kind == ListingLine::Kind::instruction;
      const std::int64_t samples = counts ? of(line) : 0;
      const std::string margin = samples > 0 ? fmt::format("{:5.1f}%", 100 * share(samples)) : "      ";
      if (samples > 0) {
        const double part = static_cast<double>(samples) / static_cast<double>(hottest_);
        const bool hot = samples == hottest_ && !hot_seen;
        hot_seen = hot_seen || hot;
        if (hot) {
          html_.open("span", {{"class", "l"}, {"style", heat(part)}, {"id", hot_anchor()}});
        } else {
          html_.open("span", {{"class", "l"}, {"style", heat(part)}});
        }
      }
      if (shaded()) html_.element("b", margin).text("  ");
      code(line);
      html_.text("\n");
      if (samples > 0) html_.close();
    }
    html_.close().close();
  }

  // Comments stand back.
  void code(const ListingLine& line) {
    const std::string text = to_text(line);
    const bool words = line.kind == ListingLine::Kind::head || line.kind == ListingLine::Kind::note;
    const std::size_t hash = text.find(words ? "#" : " # ");
    const std::size_t at = hash == std::string::npos ? text.size() : hash;
    html_.text(std::string_view(text).substr(0, at));
    if (at < text.size()) html_.element("i", std::string_view(text).substr(at));
  }

  Html& html_;
  const Report& report_;
  const KernelRow& row_;
  int number_;
  bool of_token_ = false;
  const CodeSamples* samples_ = nullptr;
  std::int64_t total_ = 0;
  std::int64_t hottest_ = 0;
};

// Returns the kernel that takes most of a token's time; nullptr where nothing was measured.
const KernelRow* costliest_row(const MeasuredKernels& kernels) {
  if (!kernels.measured) return nullptr;
  return &*std::ranges::max_element(kernels.rows, {},
                                    [&](const KernelRow& row) { return kernels.token.share(*row.kernel); });
}

std::string method(const Report& report) {
  if (!report.kernels.isa.generates()) return "The scalar tier has no generated code.";
  if (!report.measurements) {
    return "Lines are not shaded, as nothing was run: " + report.why_not_measured + ".";
  }
  const CodeSamples& token = report.measurements->token_samples;
  const CodeSamples& prompt = report.measurements->prompt_samples;
  return fmt::format(
      "Lines are shaded by samples: while whole tokens ran for {:.1f} s and whole prompts for {:.1f} s, a "
      "timer interrupted the thread {} times and the address of the next instruction was kept; {} of a "
      "token's samples fell into kernels. The percentage before a line is its part of its kernel's samples. "
      "An interrupt comes a little late (skid): the instruction that was waited for often stands one or a "
      "few lines before the shaded one.",
      token.seconds, prompt.seconds, grouped(token.inside + token.outside + prompt.inside + prompt.outside),
      percent(static_cast<double>(token.inside) /
              static_cast<double>(std::max<std::int64_t>(1, token.inside + token.outside))));
}

}  // namespace

void write_listings(Html& html, const Report& report) {
  html.open("section", {{"id", "listings"}}).element("h2", "Listings");
  html.element("p", method(report));
  const KernelRow* const costliest = costliest_row(report.kernels);
  for (const KernelRow& row : report.kernels.rows) ListingWriter(html, report, row).write(&row == costliest);
  html.close();
}

}  // namespace llamajit::cli
