// Loading: both expert layouts, every dtype, random weights, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/small_models.hpp"

namespace {

using routesig::ExpertLayout;
using routesig::LoadOptions;
using routesig::OlmoeConfig;
using routesig::OlmoeModel;
using routesig::TokenIds;
using routesig::testing::loaded;
using routesig::testing::problem;
using routesig::testing::random_prompts;
using routesig::testing::same_bytes;
using routesig::testing::ScratchFolder;
using routesig::testing::TensorValues;
using routesig::testing::untrained;
using testing::HasSubstr;

TEST(OlmoeLoad, BothExpertLayoutsAreTheSameModel) {
  const OlmoeConfig config = routesig::testing::small_config();
  const TensorValues values = routesig::testing::random_values(config, 3);
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  const auto separate = loaded(config, values).forward(prompts);
  const auto fused = loaded(config, routesig::testing::fused(config, values), ExpertLayout::fused).forward(prompts);
  for (std::size_t i = 0; i < prompts.size(); ++i) EXPECT_TRUE(same_bytes(separate[i], fused[i]));
}

TEST(OlmoeLoad, SixteenBitFilesAreReadExactlyIntoFloat32) {
  const OlmoeConfig config = routesig::testing::small_config();
  const TensorValues values = routesig::testing::random_values(config, 3);
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  for (const std::string dtype : {"F16", "BF16"}) {
    TensorValues rounded = values;
    for (auto& [name, of_tensor] : rounded)
      for (float& value : of_tensor) value = routesig::testing::truncated(value, dtype);
    const auto expected = loaded(config, rounded).forward(prompts);
    const OlmoeModel model = loaded(config, values, ExpertLayout::separate, dtype, {.dtype = "float32"});
    EXPECT_EQ(model.info().model_dtype, "float32");
    const auto logits = model.forward(prompts);
    for (std::size_t i = 0; i < prompts.size(); ++i) EXPECT_TRUE(same_bytes(expected[i], logits[i])) << dtype;
  }
}

TEST(OlmoeLoad, DtypeAutoIsTheCheckpoints) {
  OlmoeConfig config = routesig::testing::wide_config();
  const TensorValues values = routesig::testing::random_values(config, 3);
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  config.dtype = "bfloat16";
  const OlmoeModel model = loaded(config, values, ExpertLayout::separate, "BF16");
  EXPECT_EQ(model.info().model_dtype, "bfloat16");
  const auto narrow = model.forward(prompts);
  const auto wide = loaded(config, values, ExpertLayout::separate, "BF16", {.dtype = "float32"}).forward(prompts);
  double largest = 0.0, difference = 0.0;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    for (std::size_t j = 0; j < wide[i].size(); ++j) {
      largest = std::max<double>(largest, std::abs(wide[i][j]));
      difference += std::abs(static_cast<double>(narrow[i][j] - wide[i][j])) /
                    static_cast<double>(wide[i].size() * prompts.size());
    }
  EXPECT_GT(difference, 0.0);             // it did compute in 16 bits
  EXPECT_LT(difference, largest * 0.05);  // mean difference; one flipped expert moves single logits far
  config.dtype = "float16";
  EXPECT_EQ(loaded(config, values, ExpertLayout::separate, "F16").info().model_dtype, "float32");
}

// With W_v = W_o = 0 the attention of a layer adds b_o alone; with W_v = 0 it adds W_o b_v + b_o, since its weights sum
// to 1. In the first layer that is the model without biases whose embedding has it added.
TEST(OlmoeLoad, BiasesOfTheAttentionAreAdded) {
  OlmoeConfig config = routesig::testing::wide_config();
  config.num_hidden_layers = 1;
  const auto width = static_cast<std::size_t>(config.hidden_size);
  const std::string attention = "model.layers.0.self_attn.";
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  config.attention_bias = true;
  TensorValues values = routesig::testing::random_values(config, 3);
  routesig::Random random(4);
  for (const char* name : {"q_proj.bias", "k_proj.bias", "v_proj.bias", "o_proj.bias"})
    for (float& value : values.at(attention + name)) value = static_cast<float>(random.normal());
  std::ranges::fill(values.at(attention + "v_proj.weight"), 0.0F);

  // Head h of the query reads group h / 2 of the values.
  const auto size = static_cast<std::size_t>(config.head_dim);
  std::vector<double> added(width);
  for (std::size_t row = 0; row < width; ++row) {
    added[row] = static_cast<double>(values.at(attention + "o_proj.bias")[row]);
    for (std::size_t column = 0; column < width; ++column)
      added[row] += static_cast<double>(values.at(attention + "o_proj.weight")[row * width + column]) *
                    static_cast<double>(values.at(attention + "v_proj.bias")[column / size / 2 * size + column % size]);
  }
  TensorValues without = values;
  OlmoeConfig plain = config;
  plain.attention_bias = false;
  std::ranges::fill(without.at(attention + "o_proj.weight"), 0.0F);
  std::vector<float>& embedding = without.at("model.embed_tokens.weight");
  for (std::size_t i = 0; i < embedding.size(); ++i) embedding[i] += static_cast<float>(added[i % width]);

  const auto expected = loaded(plain, without).forward(prompts), logits = loaded(config, values).forward(prompts);
  for (std::size_t i = 0; i < prompts.size(); ++i)
    for (std::size_t j = 0; j < logits[i].size(); ++j) EXPECT_NEAR(logits[i][j], expected[i][j], 1e-4F);
}

TEST(OlmoeLoad, BiasesAreZeroInAnUntrainedModel) {
  OlmoeConfig config = routesig::testing::small_config();
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  const auto without = untrained(config, 7).forward(prompts);
  config.attention_bias = true;
  EXPECT_TRUE(same_bytes(without[0], untrained(config, 7).forward(prompts)[0]));
}

TEST(OlmoeLoad, RandomWeightsAreTheirSeed) {
  const OlmoeConfig config = routesig::testing::small_config();
  const std::vector<TokenIds> prompts = random_prompts(2, config);
  const auto logits = untrained(config, 7).forward(prompts);
  EXPECT_TRUE(same_bytes(logits[0], untrained(config, 7).forward(prompts)[0]));
  EXPECT_FALSE(same_bytes(logits[0], untrained(config, 8).forward(prompts)[0]));
  EXPECT_THAT(untrained(config, 7).info().model_name, HasSubstr("random weights, seed 7"));
}

TEST(OlmoeLoad, NamesAndHashesReachTheRecorder) {
  const ScratchFolder folder;
  routesig::testing::write_config(folder.path(), routesig::testing::small_config());
  const OlmoeModel model =
      OlmoeModel::load(folder.path(), {.random_weights = 1, .name = "tiny", .sha256 = "ab", .tokenizer_sha256 = "cd"});
  EXPECT_EQ(model.info().model_name, "tiny");
  EXPECT_EQ(model.info().model_sha256, "ab");
  EXPECT_EQ(model.info().tokenizer_sha256, "cd");
  EXPECT_EQ(model.device(), "cpu");
}

TEST(OlmoeLoad, RefusesWhatItCannotRunInOneSentence) {
  const ScratchFolder folder;
  const OlmoeConfig config = routesig::testing::small_config();
  const auto load = [&](const LoadOptions& options) {
    return problem([&] { static_cast<void>(OlmoeModel::load(folder.path(), options)); });
  };
  EXPECT_THAT(load({}), HasSubstr("config.json"));
  routesig::testing::write_config(folder.path(), config);
  EXPECT_THAT(load({}), HasSubstr("safetensors"));
  EXPECT_EQ(load({.device = "tpu"}), "load: expected device auto, cpu, cuda or cuda:N, got \"tpu\"");
  EXPECT_EQ(load({.device = "cuda:x"}), "load: expected device auto, cpu, cuda or cuda:N, got \"cuda:x\"");
  EXPECT_EQ(load({.dtype = "int8"}), "load: expected dtype auto, float32 or bfloat16, got \"int8\"");
  OlmoeConfig larger = config;
  larger.num_experts = 17;
  routesig::testing::write_weights(folder.path(), larger, routesig::testing::random_values(larger, 1));
  EXPECT_THAT(load({}), HasSubstr("expert"));  // 17 experts in the file, 16 in config.json
}

TEST(OlmoeLoad, AMissingGpuIsOneSentence) {
  const ScratchFolder folder;
  routesig::testing::write_config(folder.path(), routesig::testing::small_config());
  const std::string found =
      problem([&] { static_cast<void>(OlmoeModel::load(folder.path(), {.device = "cuda", .random_weights = 1})); });
  if (found == "nothing was thrown") GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(found, "load: device cuda was asked for, but LibTorch finds no GPU; use cpu");
}

}  // namespace
