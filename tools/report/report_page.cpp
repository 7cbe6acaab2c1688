#include <cmath>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/forward/token_costs.h"
#include "tools/common/layers_text.h"
#include "tools/report/report.h"

namespace llamajit::cli {
namespace {

constexpr std::string_view kNarrowSpace = "\u202F";

using Facts = std::vector<std::pair<std::string_view, std::string>>;

void write_facts(Html& html, std::string_view title, const Facts& facts) {
  html.open("section", {{"class", "card"}}).element("h2", title).open("dl");
  for (const auto& [name, value] : facts) {
    html.open("div").element("dt", name).element("dd", value).close();
  }
  html.close().close();
}

Facts model_facts(const Report& report) {
  const Config& c = report.file.config;
  const Engine& engine = report.engine;
  const auto numbers = [&](auto number) {
    return number_of_layers(c, number, [](int n) { return grouped(n); });
  };
  const std::string kinds = layer_kinds_text(c);
  Facts facts{
      {"File", std::filesystem::path(report.file.path()).filename().string()},
      {"Format", report.file.file_format},
      {"Layers", kinds.empty() ? grouped(c.n_layers) : fmt::format("{}: {}", grouped(c.n_layers), kinds)},
      {"Width, feed-forward width", grouped(c.dim) + ", " + numbers(&LayerShape::hidden_dim)},
      {"Heads, K/V heads", numbers(&LayerShape::n_heads) + ", " + numbers(&LayerShape::n_kv_heads)},
      {"Values of a head", numbers(&LayerShape::head_dim)},
      {"Vocabulary", grouped(c.vocab_size)},
      {"Context", grouped(engine.context()) + " tokens"},
      {"Classifier", c.shared_classifier ? "the embedding's matrix" : "its own matrix"},
      {"Weights, packed", grouped(static_cast<std::int64_t>(engine.weights().bytes())) + " bytes"},
      {"Keys and values", std::string(jit::to_string(engine.kv_cache().type()))}};
  if (const std::string experts = experts_text(c); !experts.empty()) {
    facts.emplace_back("Experts of a token", experts);
  }
  const TokenCosts costs = token_costs(report.file, engine.kv_cache().type());
  facts.emplace_back("A token reads", grouped(costs.weights) + " bytes of weights");
  facts.emplace_back("A text keeps", grouped(costs.per_position) + " bytes a position");
  if (costs.windows > 0) facts.emplace_back("Its windows", grouped(costs.windows) + " bytes");
  if (costs.states > 0) facts.emplace_back("Its states", grouped(costs.states) + " bytes");
  return facts;
}

Facts machine_facts(const Report& report) {
  Facts facts = {
      {"Tier", std::string(to_string(report.kernels.isa.tier))},
      {"Kernels", grouped(std::ssize(report.engine.code().kernels()))},
      {"Generated code", grouped(static_cast<std::int64_t>(report.engine.code().code_bytes())) + " bytes"}};
  if (!report.measurements) return facts;
  const Measurements& m = *report.measurements;
  facts.insert(facts.begin(), {"CPU", jit::cpu_name()});
  facts.emplace_back("Generated in", fmt::format("{:.2f} ms", m.emit_ms));
  facts.emplace_back("Threads", "1");
  facts.emplace_back("Measured", m.date);
  if (!m.roofs) return facts;
  facts.emplace_back("Reading the weights", scaled(m.roofs->weights) + "B/s");
  facts.emplace_back("Reading the L1 cache", scaled(m.roofs->cached) + "B/s");
  facts.emplace_back("f32 arithmetic", scaled(m.roofs->multiply) + "op/s");
  if (m.roofs->dot > 0) facts.emplace_back("int8 dot product", scaled(m.roofs->dot) + "op/s");
  return facts;
}

void write_headline(Html& html, const Report& report) {
  html.open("header");
  html.element("p", "llamajit report", {{"class", "kicker"}});
  html.element("h1", std::filesystem::path(report.file.path()).filename().string());
  if (!report.measurements) {
    html.element("p",
                 fmt::format("Not measured: {}. Shapes, counts and listings of tier {} are complete.",
                             report.why_not_measured, to_string(report.kernels.isa.tier)),
                 {{"class", "notice"}});
  } else {
    const double seconds = report.measurements->token_seconds;
    html.open("p", {{"class", "headline"}});
    html.element("strong", fmt::format("{:.{}f}", 1 / seconds, seconds > 0.01 ? 1 : 0));
    html.text(fmt::format(" tokens/s on one thread: {:.1f} µs for the token at position {}", seconds * 1e6,
                          report.kernels.token.position));
    html.close();
  }
  html.close();
}

void write_contents(Html& html) {
  html.open("nav", {{"aria-label", "Sections"}});
  for (const auto& [anchor, title] : {std::pair{"#path", "A token's path"},
                                      {"#roofline", "Roofline"},
                                      {"#kernels", "Kernels"},
                                      {"#listings", "Listings"}}) {
    html.element("a", title, {{"href", anchor}});
  }
  html.close();
}

}  // namespace

std::string heat(double part) {
  return fmt::format("--h:{:.3f}", part);
}

std::string kernel_anchor(int number) {
  return fmt::format("kernel-{}", number);
}

void kernel_link(Html& html, const Report& report, const jit::KernelInfo& kernel) {
  const int number = report.number(kernel);
  if (number == 0) {
    html.element("code", kernel.name);
    return;
  }
  html.open("a", {{"href", fmt::format("#{}", kernel_anchor(number))}}).element("code", kernel.name).close();
}

std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > (n < 0 ? 1 : 0); at -= 3) {
    digits.insert(static_cast<std::size_t>(at), kNarrowSpace);
  }
  return digits;
}

std::string scaled(double value) {
  constexpr std::string_view kPrefixes[] = {"", "k", "M", "G", "T", "P"};
  std::size_t prefix = 0;
  for (; value >= 999.5 && prefix + 1 < std::size(kPrefixes); ++prefix) value /= 1000;
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kPrefixes[prefix]);
}

std::string percent(double share) {
  return fmt::format("{:.1f}%", 100 * share);
}

std::string report_page(const Report& report) {
  Html html;
  const std::string name = std::filesystem::path(report.file.path()).filename().string();
  html.open("html", {{"lang", "en"}}).open("head");
  html.single("meta", {{"charset", "utf-8"}});
  html.single("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  html.single("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  html.element("title", name + " – llamajit report").style(report_style()).close();
  html.open("body").open("main");
  write_headline(html, report);
  write_contents(html);
  html.open("div", {{"class", "cards"}});
  write_facts(html, "Model", model_facts(report));
  write_facts(html, report.measurements ? "Machine and code" : "Code", machine_facts(report));
  html.close();
  write_path(html, report);
  write_roofline(html, report);
  write_tables(html, report);
  write_listings(html, report);
  html.close().close().close();
  return "<!DOCTYPE html>\n" + html.finish() + "\n";
}

}  // namespace llamajit::cli
