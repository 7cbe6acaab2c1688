// The roofline: how much a kernel computes for each byte, and how fast, against the machine's limits
// (Williams, Waterman, Patterson 2009).
#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "tools/report/report.h"

namespace llamajit::cli {
namespace {

// In the drawing's units, y downwards.
struct Place {
  double x, y;
};
struct Area {
  double left, top, right, bottom;
  bool meets(const Area& o) const {
    return left < o.right && o.left < right && top < o.bottom && o.top < bottom;
  }
  bool within(const Area& o) const {
    return left >= o.left && right <= o.right && top >= o.top && bottom <= o.bottom;
  }
};

constexpr double kWidth = 480;
constexpr double kHeight = 400;
constexpr Area kPlot{66, 16, kWidth - 12, kHeight - 52};

// A logarithmic axis over whole and half decades.
struct Axis {
  double low, high;  // powers of ten
  double from, to;   // in the drawing
  double at(double value) const { return from + (std::log10(value) - low) / (high - low) * (to - from); }
};

Axis axis_over(double smallest, double largest, double from, double to) {
  return {std::floor(2 * std::log10(smallest) - 0.1) / 2, std::ceil(2 * std::log10(largest) + 0.1) / 2, from,
          to};
}

struct Point {
  int number;
  const KernelProfile* profile;
  bool of_prompt;
  double intensity;  // operations per byte
  double rate;       // operations/s
};

// A kernel that both a token and a chunk call has the token's point.
std::vector<Point> points_of(const Report& report) {
  std::vector<Point> points;
  for (const KernelRow& row : report.kernels.rows) {
    const KernelProfile* profile = report.kernels.token.find(*row.kernel);
    const bool of_prompt = profile == nullptr;
    if (of_prompt) profile = report.kernels.prompt.find(*row.kernel);
    if (profile == nullptr || profile->work.operations == 0 || profile->seconds <= 0) continue;
    const auto operations = static_cast<double>(profile->work.operations);
    points.push_back({report.number(*row.kernel), profile, of_prompt,
                      operations / static_cast<double>(profile->work.bytes), operations / profile->seconds});
  }
  return points;
}

// Ten to a power: "100 G".
std::string tick(double power) {
  const std::string text = scaled(std::pow(10, power));
  return fmt::format("{}{}", text.substr(0, text.find_first_of(". ")), text.substr(text.find(' ')));
}

std::string number(double v) {
  return fmt::format("{:.1f}", v);
}

class Plot {
 public:
  Plot(Html& html, const Roofs& roofs, const std::vector<Point>& points)
      : html_(html),
        points_(points),
        peak_(std::max(roofs.multiply, roofs.dot)),
        roofs_(roofs),
        x_(axis_over(least(&Point::intensity), std::max(most(&Point::intensity), 2 * peak_ / roofs.weights),
                     kPlot.left, kPlot.right)),
        y_(axis_over(least(&Point::rate), 1.3 * std::max(most(&Point::rate), peak_), kPlot.bottom,
                     kPlot.top)) {}

  void draw() {
    html_.open("svg", {{"class", "plot"},
                       {"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                       {"role", "img"},
                       {"aria-label", "Roofline plot: operations per second over operations per byte"}});
    grid();
    // Before the points, which give way to them.
    ceiling(roofs_.multiply, "f32 " + scaled(roofs_.multiply) + "op/s", "roof");
    if (roofs_.dot > 0)
      ceiling(roofs_.dot, fmt::format("{} {}op/s", roofs_.dot_type, scaled(roofs_.dot)), "roof");
    slope(roofs_.weights, "weights " + scaled(roofs_.weights) + "B/s", "roof");
    slope(roofs_.cached, "L1 cache " + scaled(roofs_.cached) + "B/s", "roof cached");
    for (const Point& point : points_) taken_.push_back(around(place(point), 5, 5));
    for (const Point& point : points_) mark(point);
    for (const Label& name : names_of_roofs_) label(name);
    html_.close();
  }

 private:
  double least(double Point::*member) const {
    return (*std::ranges::min_element(points_, {}, member)).*member;
  }
  double most(double Point::*member) const {
    return (*std::ranges::max_element(points_, {}, member)).*member;
  }
  Place place(const Point& point) const { return {x_.at(point.intensity), y_.at(point.rate)}; }
  static Area around(Place p, double half_width, double half_height) {
    return {p.x - half_width, p.y - half_height, p.x + half_width, p.y + half_height};
  }

  void line(Place a, Place b, std::string_view kind) {
    html_.single("line", {{"class", std::string(kind)},
                          {"x1", number(a.x)},
                          {"y1", number(a.y)},
                          {"x2", number(b.x)},
                          {"y2", number(b.y)}});
  }
  struct Label {
    Place at;
    std::string_view anchor;
    std::string text;
    double turn = 0;  // degrees
  };
  void label(const Label& l) {
    const std::string where = number(l.at.x) + " " + number(l.at.y);
    html_.element("text", l.text,
                  {{"text-anchor", std::string(l.anchor)},
                   {"transform", fmt::format("translate({}) rotate({:.1f})", where, l.turn)}});
  }

  void grid() {
    for (double power = std::ceil(x_.low); power <= x_.high; ++power) {
      const double x = x_.at(std::pow(10, power));
      line({x, kPlot.top}, {x, kPlot.bottom}, "grid");
      label({{x, kPlot.bottom + 18}, "middle", fmt::format("{:g}", std::pow(10, power))});
    }
    for (double power = std::ceil(y_.low); power <= y_.high; ++power) {
      const double y = y_.at(std::pow(10, power));
      line({kPlot.left, y}, {kPlot.right, y}, "grid");
      label({{kPlot.left - 6, y + 4}, "end", tick(power)});
    }
    label({{(kPlot.left + kPlot.right) / 2, kHeight - 10}, "middle", "operations per byte"});
    label({{13, (kPlot.top + kPlot.bottom) / 2}, "middle", "operations/s", -90});
  }

  // Arithmetic's limit, from where the faster memory reaches it.
  void ceiling(double rate, const std::string& text, std::string_view kind) {
    const Place end{kPlot.right, y_.at(rate)};
    const Place begin{
        std::clamp(x_.at(rate / std::max(roofs_.cached, roofs_.weights)), kPlot.left, kPlot.right - 1),
        end.y};
    line(begin, end, kind);
    names_of_roofs_.push_back({{end.x - 2, end.y - 5}, "end", text});
    const double width = 8.0 * static_cast<double>(text.size());
    taken_.push_back({end.x - width, end.y - 19, end.x, end.y + 3});
  }

  // A bandwidth: rate = intensity * bandwidth up to arithmetic's highest limit.
  void slope(double bandwidth, const std::string& text, std::string_view kind) {
    const double ridge = peak_ / bandwidth;
    const double lowest = std::max(std::pow(10, x_.low), std::pow(10, y_.low) / bandwidth);
    const Place begin{x_.at(lowest), y_.at(lowest * bandwidth)};
    const Place end{x_.at(ridge), y_.at(peak_)};
    if (end.x <= begin.x) return;
    line(begin, end, kind);
    const double length = std::hypot(end.x - begin.x, end.y - begin.y);
    const Place along{(end.x - begin.x) / length, (end.y - begin.y) / length};
    const Place start{begin.x + 8 * along.x + 5 * along.y, begin.y + 8 * along.y - 5 * along.x};
    names_of_roofs_.push_back({start, "start", text, std::atan2(along.y, along.x) * 180 / std::numbers::pi});
    const double width = std::min(length, 8.0 * static_cast<double>(text.size()));
    for (double at = 8; at < width; at += 10) {
      taken_.push_back(
          around({begin.x + at * along.x + 8 * along.y, begin.y + at * along.y - 8 * along.x}, 8, 8));
    }
  }

  void mark(const Point& point) {
    const Place at = place(point);
    const std::string_view kind = point.of_prompt                            ? "prompt"
                                  : reads_memory(point.profile->kernel->key) ? "memory"
                                                                             : "cache";
    if (const std::optional<Place> name = free_place(at)) {
      line(at, *name, "leader");
      html_.open("g", {{"class", std::string(kind)}});
      shape(at, kind);
      html_.single("circle",
                   {{"class", "plate"}, {"cx", number(name->x)}, {"cy", number(name->y)}, {"r", "9.5"}});
      label({{name->x, name->y + 4.5}, "middle", std::to_string(point.number)});
      html_.element("title", point.profile->kernel->name).close();
    }
  }

  // Forms differ, not only colours.
  void shape(Place at, std::string_view kind) {
    constexpr double kRadius = 4.5;
    if (kind == "memory") {
      html_.single("circle", {{"cx", number(at.x)}, {"cy", number(at.y)}, {"r", number(kRadius)}});
      return;
    }
    const std::string turn = fmt::format("rotate({} {:.1f} {:.1f})", kind == "prompt" ? 45 : 0, at.x, at.y);
    html_.single("rect", {{"x", number(at.x - 4)},
                          {"y", number(at.y - 4)},
                          {"width", "8"},
                          {"height", "8"},
                          {"transform", turn}});
  }

  // Where a number covers nothing, as near to its point as can be; the farthest try if all is taken.
  std::optional<Place> free_place(Place point) {
    constexpr int kDirections = 16;
    std::optional<Place> last;
    for (double distance = 17; distance < 150; distance += 6) {
      for (int i = 0; i < kDirections; ++i) {
        const double angle = (2 * i + 1) * std::numbers::pi / kDirections;
        const Place place{point.x + distance * std::cos(angle), point.y - distance * std::sin(angle)};
        const Area area = around(place, 10.5, 10.5);
        if (!area.within(kPlot)) continue;
        last = place;
        if (std::ranges::any_of(taken_, [&](const Area& taken) { return area.meets(taken); })) continue;
        taken_.push_back(area);
        return place;
      }
    }
    return last;
  }

  Html& html_;
  const std::vector<Point>& points_;
  double peak_;
  Roofs roofs_;
  Axis x_;
  Axis y_;
  std::vector<Area> taken_;
  std::vector<Label> names_of_roofs_;  // written last, as points may lie there
};

void write_legend(Html& html, const Report& report, const std::vector<Point>& points) {
  html.open("ol", {{"class", "legend"}});
  for (const Point& point : points) {
    const Performance p = performance(*point.profile, *report.measurements->roofs);
    html.open("li").element("span", std::to_string(point.number), {{"class", "number"}});
    kernel_link(html, report, *point.profile->kernel);
    html.text(" ").element(
        "span", fmt::format("{:.0f}% of its roof{}", 100 * p.roof_share, point.of_prompt ? ", prompt" : ""),
        {{"class", "facts"}});
    html.close();
  }
  html.close();
}

}  // namespace

void write_roofline(Html& html, const Report& report) {
  html.open("section", {{"id", "roofline"}}).element("h2", "Roofline");
  const std::vector<Point> points = report.measurements ? points_of(report) : std::vector<Point>();
  if (points.empty() || !report.measurements->roofs) {
    html.element("p",
                 report.measurements
                     ? "There is nothing to draw: the limits are measured with generated code, and of "
                       "kernels that compute."
                     : "Not drawn, as nothing was measured: " + report.why_not_measured + ".",
                 {{"class", "notice"}});
    html.close();
    return;
  }
  html.element(
      "p",
      "Slanted lines are what memory allows, level ones what arithmetic allows; all were measured on "
      "one thread right after the kernels. A kernel above the line for weights, or with more than 100% "
      "of its roof, has its data in a nearer cache than the limit was measured on. "
      "Circles read weights or keys and values, squares read activations that stay in the "
      "first-level cache, diamonds are the prompt's. Kernels that only move data have no place "
      "here.");
  html.open("div", {{"class", "roofline"}});
  Plot(html, *report.measurements->roofs, points).draw();
  write_legend(html, report, points);
  html.close().close();
}

}  // namespace llamajit::cli
