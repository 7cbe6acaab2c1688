#include "tools/common/layers_text.h"

#include <gtest/gtest.h>

namespace llamajit::layers_text_test {
namespace {

Config two_layers() {
  Config config;
  config.n_layers = 2;
  config.n_heads = 4;
  config.hidden_dim = 160;
  config.layers.resize(2, config);
  return config;
}
std::string numbers(const Config& config, int LayerShape::*number) {
  return cli::number_of_layers(config, number, [](int n) { return fmt::to_string(n); });
}

TEST(LayersText, SaysOneNumberOrARange) {
  Config config = two_layers();
  EXPECT_EQ(numbers(config, &LayerShape::hidden_dim), "160");
  config.layers[1].hidden_dim = 48;
  EXPECT_EQ(numbers(config, &LayerShape::hidden_dim), "48 to 160");
  EXPECT_EQ(numbers(config, &LayerShape::n_heads), "4");
}

TEST(LayersText, SaysHowManyExpertsATokenTakes) {
  Config config = two_layers();
  EXPECT_EQ(cli::experts_text(config), "");
  config.layers[1].route = {8, 2};
  EXPECT_EQ(cli::experts_text(config), "2 of 8");
  config.layers[1].route.shared = jit::SharedExpert::gated;
  EXPECT_EQ(cli::experts_text(config), "2 of 8 and a shared one");
}

TEST(LayersText, SaysWhichLayersDoNotSeeEverything) {
  Config config = two_layers();
  EXPECT_EQ(cli::layer_kinds_text(config), "");
  config.layers[1].window = 128;
  EXPECT_EQ(cli::layer_kinds_text(config), "1 with a window of 128");
  config.layers[0].delta.value_heads = 4;
  EXPECT_EQ(cli::layer_kinds_text(config), "1 with a delta net, 1 with a window of 128");
}

}  // namespace
}  // namespace llamajit::layers_text_test
