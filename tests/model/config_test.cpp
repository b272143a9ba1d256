// config.json: the published layouts, transformers' defaults, every field's rule broken once.
#include "routesig/model/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using routesig::FormatError;
using routesig::OlmoeConfig;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// OLMoE-1B-7B-0125-Instruct as published (transformers 4).
const std::string kVersion4 = R"({
  "architectures": ["OlmoeForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "clip_qkv": null,
  "eos_token_id": 50279, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02,
  "intermediate_size": 1024, "max_position_embeddings": 4096, "model_type": "olmoe", "norm_topk_prob": false,
  "num_attention_heads": 16, "num_experts": 64, "num_experts_per_tok": 8, "num_hidden_layers": 16,
  "num_key_value_heads": 16, "output_router_logits": false, "pad_token_id": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": null, "rope_theta": 10000.0, "router_aux_loss_coef": 0.01, "tie_word_embeddings": false,
  "torch_dtype": "bfloat16", "transformers_version": "4.47.1", "use_cache": true, "vocab_size": 50304})";

// As transformers 5.23 saves a small model.
const std::string kVersion5 = R"({
  "architectures": ["OlmoeForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": null,
  "clip_qkv": 8.0, "dtype": "float32", "eos_token_id": [2, 3], "hidden_act": "silu", "hidden_size": 16,
  "initializer_range": 0.03, "intermediate_size": 6, "max_position_embeddings": 64, "model_type": "olmoe",
  "norm_topk_prob": true, "num_attention_heads": 4, "num_experts": 3, "num_experts_per_tok": 2,
  "num_hidden_layers": 2, "num_key_value_heads": 2, "output_router_logits": false, "pad_token_id": null,
  "rms_norm_eps": 1e-06, "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"},
  "router_aux_loss_coef": 0.01, "tie_word_embeddings": false, "transformers_version": "5.23.0", "use_cache": true,
  "vocab_size": 10})";

OlmoeConfig parse(std::string_view text) { return routesig::parse_olmoe_config(text, "config.json"); }

std::string with(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("not in the text: " + std::string(from));
  return text.replace(at, from.size(), to);
}

std::string problem(const std::function<void()>& act) {
  try {
    act();
    return "";
  } catch (const FormatError& error) {
    return error.what();
  }
}

std::string config_problem(const std::string& text) {
  return problem([&] { static_cast<void>(parse(text)); });
}

TEST(OlmoeConfig, ReadsThePublishedVersion4) {
  const OlmoeConfig config = parse(kVersion4);
  const OlmoeConfig expected{.vocab_size = 50304,
                             .hidden_size = 2048,
                             .intermediate_size = 1024,
                             .num_hidden_layers = 16,
                             .num_attention_heads = 16,
                             .num_key_value_heads = 16,
                             .head_dim = 128,
                             .num_experts = 64,
                             .num_experts_per_tok = 8,
                             .max_position_embeddings = 4096,
                             .rms_norm_eps = 1e-5,
                             .rope_theta = 10'000.0,
                             .initializer_range = 0.02,
                             .eos_token_ids = {50279},
                             .pad_token_id = 1,
                             .dtype = "bfloat16"};
  EXPECT_EQ(config, expected);
  EXPECT_EQ(config.routing().layers, 16);
  EXPECT_EQ(config.routing().experts, 64);
  EXPECT_EQ(config.routing().top_k, 8);
  EXPECT_FALSE(config.routing().renormalized);
}

TEST(OlmoeConfig, ReadsVersion5) {
  const OlmoeConfig expected{.vocab_size = 10,
                             .hidden_size = 16,
                             .intermediate_size = 6,
                             .num_hidden_layers = 2,
                             .num_attention_heads = 4,
                             .num_key_value_heads = 2,
                             .head_dim = 4,
                             .num_experts = 3,
                             .num_experts_per_tok = 2,
                             .max_position_embeddings = 64,
                             .rms_norm_eps = 1e-6,
                             .rope_theta = 500'000.0,
                             .initializer_range = 0.03,
                             .clip_qkv = 8.0,
                             .norm_topk_prob = true,
                             .eos_token_ids = {2, 3},
                             .dtype = "float32"};
  EXPECT_EQ(parse(kVersion5), expected);
  EXPECT_TRUE(parse(kVersion5).routing().renormalized);
}

TEST(OlmoeConfig, MissingFieldsHaveTransformersDefaults) {
  const OlmoeConfig config = parse(R"({"model_type":"olmoe","vocab_size":10,"hidden_size":8,"intermediate_size":4,
      "num_hidden_layers":1,"num_attention_heads":2,"num_experts":4,"num_experts_per_tok":1})");
  const OlmoeConfig expected{.vocab_size = 10,
                             .hidden_size = 8,
                             .intermediate_size = 4,
                             .num_hidden_layers = 1,
                             .num_attention_heads = 2,
                             .num_key_value_heads = 2,
                             .head_dim = 4,
                             .num_experts = 4,
                             .num_experts_per_tok = 1,
                             .max_position_embeddings = 4096,
                             .rms_norm_eps = 1e-5,
                             .rope_theta = 10'000.0,
                             .initializer_range = 0.02,
                             .eos_token_ids = {50279},
                             .pad_token_id = 1};
  EXPECT_EQ(config, expected);
}

TEST(OlmoeConfig, OtherNamesOfTheSameThingAreRead) {
  EXPECT_EQ(parse(with(kVersion4, "\"num_experts\"", "\"num_local_experts\"")).num_experts, 64);
  EXPECT_EQ(parse(with(kVersion4, "\"silu\"", "\"swish\"")).hidden_size, 2048);
  EXPECT_EQ(parse(with(kVersion4, "\"rope_scaling\": null", R"("rope_scaling": {"type": "default"})")).rope_theta,
            10'000.0);
  EXPECT_EQ(parse(with(kVersion4, "\"rope_theta\": 10000.0", "\"rope_theta\": 250000")).rope_theta, 250'000.0);
  // rope_scaling replaces rope_parameters; what it does not say comes from rope_theta.
  EXPECT_EQ(parse(with(kVersion5, "\"rope_parameters\"",
                       R"("rope_theta": 7e3, "rope_scaling": {"rope_type": "default"}, "rope_parameters")"))
                .rope_theta,
            7e3);
  EXPECT_EQ(parse(with(kVersion5, "\"rope_parameters\"", R"("rope_theta": 7e3, "rope_scaling": {}, "rope_parameters")"))
                .rope_theta,
            5e5);
  EXPECT_EQ(parse(with(kVersion4, "\"eos_token_id\": 50279", "\"eos_token_id\": null")).eos_token_ids,
            std::vector<int>{});
  EXPECT_EQ(parse(with(kVersion4, "\"pad_token_id\": 1", "\"pad_token_id\": -1")).pad_token_id, std::nullopt);
  EXPECT_TRUE(parse(with(kVersion4, "\"attention_bias\": false", "\"attention_bias\": true")).attention_bias);
}

TEST(OlmoeConfig, EveryRuleBrokenOnceIsRefusedByName) {
  struct Case {
    const char *from, *to, *message;
  };
  const std::vector<Case> cases{
      {"\"olmoe\"", "\"mixtral\"", "model_type: \"mixtral\" is not supported; supported are: \"olmoe\""},
      {"\"model_type\": \"olmoe\",", "", "model_type: expected a string, the field is missing"},
      {"OlmoeForCausalLM", "OlmoeModel",
       "architectures: expected \"OlmoeForCausalLM\" among them, found \"OlmoeModel\""},
      {"[\"OlmoeForCausalLM\"]", "[]", "architectures: expected"},
      {"\"num_experts\": 64", "\"num_experts\": 0", "num_experts: expected a whole number from 1 to 65534, found 0"},
      {"\"num_experts\": 64", "\"num_experts\": 65535", "num_experts: expected"},
      {"\"num_experts\": 64", "\"num_experts\": -1", "num_experts: expected"},
      {"\"num_experts\": 64", "\"num_experts\": 1.5", "num_experts: expected"},
      {"\"num_experts\": 64", "\"num_experts\": \"64\"", "num_experts: expected"},
      {"\"num_experts\": 64", "\"num_experts\": null", "num_experts: expected"},
      {"\"num_experts\": 64,", "", "num_experts: expected a whole number from 1 to 65534, the field is missing"},
      {"\"num_experts\": 64", "\"num_experts\": 64, \"num_local_experts\": 8", "num_local_experts: expected 64"},
      {"\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 65",
       "num_experts_per_tok: expected at most num_experts 64, found 65"},
      {"\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 0", "num_experts_per_tok: expected"},
      {"\"hidden_size\": 2048", "\"hidden_size\": 2049",
       "num_attention_heads: expected a divisor of hidden_size 2049, found 16"},
      {"\"hidden_size\": 2048", "\"hidden_size\": 4294967297", "hidden_size: expected"},
      {"\"hidden_size\": 2048", "\"hidden_size\": 16",
       "num_attention_heads: expected an even number of dimensions a head"},
      {"\"hidden_size\": 2048,", "", "hidden_size: expected"},
      {"\"vocab_size\": 50304", "\"vocab_size\": 0", "vocab_size: expected"},
      {"\"intermediate_size\": 1024", "\"intermediate_size\": -5", "intermediate_size: expected"},
      {"\"num_hidden_layers\": 16", "\"num_hidden_layers\": 1000000000", "num_hidden_layers: expected"},
      {"\"num_attention_heads\": 16", "\"num_attention_heads\": 0", "num_attention_heads: expected"},
      {"\"num_key_value_heads\": 16", "\"num_key_value_heads\": 3",
       "num_key_value_heads: expected a divisor of num_attention_heads 16, found 3"},
      {"\"num_key_value_heads\": 16", "\"num_key_value_heads\": 32", "num_key_value_heads: expected a divisor"},
      {"\"hidden_size\": 2048", "\"hidden_size\": 2048, \"head_dim\": 64", "head_dim: expected 128"},
      {"\"max_position_embeddings\": 4096", "\"max_position_embeddings\": 0", "max_position_embeddings: expected"},
      {"\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1", "rms_norm_eps: expected"},
      {"\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 1e400", "range of a double"},
      {"\"rope_theta\": 10000.0", "\"rope_theta\": 0", "rope_theta: expected"},
      {"\"rope_scaling\": null", R"("rope_scaling": {"type": "linear", "factor": 2.0})",
       "rope_scaling.type: \"linear\" is not supported; supported are: \"default\""},
      {"\"rope_scaling\": null", R"("rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4})",
       "rope_parameters.rope_type: \"yarn\" is not supported"},
      {"\"rope_scaling\": null", R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5})",
       "rope_parameters.partial_rotary_factor"},
      {"\"rope_scaling\": null", R"("rope_parameters": {"full_attention": {"rope_theta": 1e4}})",
       "rope_parameters.full_attention"},
      {"\"rope_scaling\": null", "\"rope_scaling\": 2", "rope_scaling: expected an object, found 2"},
      {"\"silu\"", "\"gelu\"", "hidden_act: \"gelu\" is not supported; supported are: \"silu\""},
      {"\"clip_qkv\": null", "\"clip_qkv\": 0", "clip_qkv: expected"},
      {"\"clip_qkv\": null", "\"clip_qkv\": null, \"sliding_window\": 4096",
       "sliding_window: expected null (it is not supported), found 4096"},
      {"\"clip_qkv\": null", R"("clip_qkv": null, "quantization_config": {"quant_method": "fp8"})",
       "quantization_config: expected null (it is not supported), found an object"},
      {"\"clip_qkv\": null", R"("clip_qkv": null, "per_layer_config": {"1": {"num_experts_per_tok": 1}})",
       "per_layer_config: expected null (it is not supported), found an object"},
      {"\"clip_qkv\": null", R"("clip_qkv": null, "transformers_weights": "other.safetensors")",
       "transformers_weights: expected null (it is not supported), found \"other.safetensors\""},
      {"\"clip_qkv\": null", "\"clip_qkv\": null, \"is_causal\": false",
       "is_causal: attention to later tokens is not supported"},
      {"\"attention_bias\": false", "\"attention_bias\": 0", "attention_bias: expected true or false, found 0"},
      {"\"norm_topk_prob\": false", "\"norm_topk_prob\": \"false\"", "norm_topk_prob: expected true or false"},
      {"\"bfloat16\"", "\"float64\"", "torch_dtype: \"float64\" is not supported"},
      {"\"eos_token_id\": 50279", "\"eos_token_id\": [50279, -1]",
       "eos_token_id: expected a token id or a list of them, found -1"},
      {"\"eos_token_id\": 50279", "\"eos_token_id\": 1.0", "eos_token_id: expected"},
      {"\"eos_token_id\": 50279", "\"eos_token_id\": 4294967296", "eos_token_id: expected"},
      {"\"pad_token_id\": 1", "\"pad_token_id\": -2", "pad_token_id: expected"},
      {"\"pad_token_id\": 1", "\"pad_token_id\": 1, \"pad_token_id\": 1", "stands twice"},
  };
  for (const auto& [from, to, message] : cases)
    EXPECT_THAT(config_problem(with(kVersion4, from, to)),
                AllOf(testing::StartsWith("config.json"), HasSubstr(message)))
        << to;
}

TEST(OlmoeConfig, TruncatedAtEveryByteIsRefused) {
  for (std::size_t size = 0; size < kVersion5.size(); ++size)
    EXPECT_NE(config_problem(kVersion5.substr(0, size)), "") << size;
}

// ---- folders ----------------------------------------------------------------------------------------------------

class OlmoeFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("olmoe_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  fs::path folder_;
  const OlmoeConfig config_ = parse(kVersion5);
};

TEST_F(OlmoeFolder, ReadsConfigAndGenerationConfig) {
  write("config.json", kVersion5);
  EXPECT_EQ(routesig::read_olmoe_config(folder_), config_);
  EXPECT_EQ(routesig::read_olmoe_config(folder_ / "config.json"), config_);
  write("generation_config.json", R"({"_from_model_config": true, "eos_token_id": 5, "pad_token_id": 1})");
  EXPECT_THAT(routesig::read_olmoe_config(folder_).eos_token_ids, ElementsAre(5));
  write("generation_config.json", R"({"eos_token_id": null})");
  EXPECT_EQ(routesig::read_olmoe_config(folder_), config_);
  write("generation_config.json", R"({"eos_token_id": "</s>"})");
  EXPECT_THAT(problem([&] { static_cast<void>(routesig::read_olmoe_config(folder_)); }),
              HasSubstr("generation_config.json: eos_token_id"));
}

TEST_F(OlmoeFolder, AMissingConfigIsAFileError) {
  EXPECT_THROW(static_cast<void>(routesig::read_olmoe_config(folder_)), routesig::FileError);
}

}  // namespace
