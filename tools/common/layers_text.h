// A model's layers in words, also where they differ.
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include <fmt/format.h>

#include "runtime/model/config.h"

namespace llamajit::cli {

// A number that each layer has: "32", or "48 to 160" where they differ; `text` writes one.
template <class Number, class Text>
std::string number_of_layers(const Config& config, Number number, Text text) {
  int least = std::invoke(number, config.layer(0)), most = least;
  for (const LayerShape& shape : config.layers) {
    const int here = std::invoke(number, shape);
    least = std::min(least, here);
    most = std::max(most, here);
  }
  return least == most ? text(least) : fmt::format("{} to {}", text(least), text(most));
}

// "24 with a delta net, 12 with a window of 128"; "" where all layers attend to everything.
inline std::string layer_kinds_text(const Config& config) {
  int linear = 0, windowed = 0, window = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    if (shape.is_linear()) ++linear;
    if (shape.is_linear() || shape.window == 0) continue;
    ++windowed;
    window = shape.window;
  }
  std::string text = linear > 0 ? fmt::format("{} with a delta net", linear) : "";
  if (windowed > 0) {
    text += fmt::format("{}{} with a window of {}", text.empty() ? "" : ", ", windowed, window);
  }
  return text;
}

// "8 of 128", of the experts that a token takes; "" where there are none.
inline std::string experts_text(const Config& config) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const jit::RouteKey& route = config.layer(i).route;
    if (route.experts == 0) continue;
    return fmt::format("{} of {}{}", route.used, route.experts,
                       route.shared == jit::SharedExpert::none ? "" : " and a shared one");
  }
  return "";
}

}  // namespace llamajit::cli
