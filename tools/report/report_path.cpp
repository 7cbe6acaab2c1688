// The token's path: the residual stream, and the branches that read it and add to it.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tools/report/report.h"

namespace llamajit::cli {
namespace {

// A kernel's place in a branch, in all layers together.
struct Box {
  Role role;
  const jit::KernelInfo* kernel;
  double seconds = 0;
  int calls = 0;
};
using Branch = std::vector<Box>;

struct Path {
  Branch embed;
  std::vector<Branch> layer;  // those of one layer, one after the other
  Branch classify;
};

// Layers that call the same kernels in the same order are drawn as one; what differs stands beside it.
void add_branch(std::vector<Branch>& branches, const Branch& added) {
  const auto same = std::ranges::find_if(branches, [&](const Branch& branch) {
    return std::ranges::equal(branch, added, {}, &Box::kernel, &Box::kernel);
  });
  if (same == branches.end()) {
    branches.push_back(added);
    return;
  }
  for (std::size_t i = 0; i < added.size(); ++i) {
    (*same)[i].seconds += added[i].seconds;
    (*same)[i].calls += added[i].calls;
  }
}

Path path_of(const Report& report) {
  Path path;
  Branch branch;
  const std::vector<const Step*> steps = token_steps(report.engine.token_program());
  const std::vector<double>& seconds = report.kernels.token.steps;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Role role = steps[i]->role;
    branch.push_back({role, steps[i]->target.kernel, seconds.empty() ? 0 : seconds[i], 1});
    // A product that is normed leaves it to the norm.
    const bool normed = i + 1 < steps.size() && is_post_norm(steps[i + 1]->role);
    const bool embeds = role == Role::embed || role == Role::embedding_norm;
    if (!embeds && (!adds_to_stream(role) || normed)) continue;
    if (embeds) {
      path.embed.insert(path.embed.end(), branch.begin(), branch.end());
    } else {
      add_branch(path.layer, branch);
    }
    branch.clear();
  }
  path.classify = std::move(branch);
  return path;
}

class PathWriter {
 public:
  PathWriter(Html& html, const Report& report) : html_(html), report_(report) {}

  void write() {
    const Path path = path_of(report_);
    html_.open("div", {{"class", "path"}});
    html_.element("p", "token", {{"class", "end"}});
    branch(path.embed, "fills the stream");
    layers(path.layer);
    branch(path.classify, "");
    html_.element("p", "next token", {{"class", "end"}});
    html_.close();
  }

 private:
  void layers(const std::vector<Branch>& branches) {
    double seconds = 0;
    for (const Branch& branch : branches) {
      for (const Box& box : branch) seconds += box.seconds;
    }
    std::string title = fmt::format("{} layers", report_.file.config.n_layers);
    if (report_.measurements) title += ": " + percent(seconds / report_.kernels.token.seconds);
    html_.open("div", {{"class", "layers"}}).element("p", title, {{"class", "title"}});
    for (const Branch& each : branches) branch(each, "+ added to the stream");
    html_.close();
  }

  void branch(const Branch& boxes, std::string_view ending) {
    html_.open("div", {{"class", "branch"}});
    for (auto at = boxes.begin(); at != boxes.end();) {
      // The products of one input stand side by side.
      const auto end = std::find_if(at, boxes.end(), [](const Box& b) { return !is_projection(b); });
      if (end - at > 1) {
        html_.open("div", {{"class", "parallel"}});
        for (; at != end; ++at) box(*at);
        html_.close();
      } else {
        box(*at++);
      }
    }
    if (!ending.empty()) html_.element("p", ending, {{"class", "ending"}});
    html_.close();
  }

  static bool is_projection(const Box& box) {
    return box.role == Role::q || box.role == Role::k || box.role == Role::v;
  }

  void box(const Box& box) {
    const double share = report_.measurements ? box.seconds / report_.kernels.token.seconds : 0;
    // The eye sees areas: the root lets small shares still differ.
    html_.open("div", {{"class", "box"}, {"style", heat(std::sqrt(share))}});
    html_.open("p").element("b", to_string(box.role));
    if (report_.measurements) html_.element("span", percent(share), {{"class", "share"}});
    html_.close();
    html_.open("p", {{"class", "name"}});
    kernel_link(html_, report_, *box.kernel);
    html_.close().close();
  }

  Html& html_;
  const Report& report_;
};

}  // namespace

void write_path(Html& html, const Report& report) {
  html.open("section", {{"id", "path"}}).element("h2", "A token's path");
  html.element("p", report.measurements
                        ? "The line is the residual stream: each branch reads it, and what the branch makes "
                          "is added to it. The deeper a kernel's colour, the larger its share of the token's "
                          "time; within the layers a share is that of all layers together."
                        : "The line is the residual stream: each branch reads it, and what the branch makes "
                          "is added to it.");
  PathWriter(html, report).write();
  html.close();
}

}  // namespace llamajit::cli
