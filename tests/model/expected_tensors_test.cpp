// The weights a config asks for: names and shapes, every tensor missing, misshapen, mistyped or unexpected once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "routesig/model/config.hpp"

namespace {

namespace fs = std::filesystem;
using routesig::check_weights;
using routesig::DType;
using routesig::ExpectedTensor;
using routesig::ExpertLayout;
using routesig::FormatError;
using routesig::OlmoeConfig;
using routesig::Safetensors;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string problem(const std::function<void()>& act) {
  try {
    act();
    return "";
  } catch (const FormatError& error) {
    return error.what();
  }
}

class ExpectedTensors : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("expected_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  // A checkpoint of zeros with these tensors.
  void write_weights(const std::vector<ExpectedTensor>& tensors, DType dtype = DType::bf16) const {
    std::string header = "{";
    std::size_t end = 0;
    for (const ExpectedTensor& tensor : tensors) {
      const std::size_t begin = end;
      std::size_t count = routesig::item_size(dtype);
      for (const std::int64_t dimension : tensor.shape) count *= static_cast<std::size_t>(dimension);
      end += count;
      header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + "\":{\"dtype\":\"" +
                std::string(routesig::name(dtype)) + "\",\"shape\":" + routesig::shape_text(tensor.shape) +
                ",\"data_offsets\":[" + std::to_string(begin) + ',' + std::to_string(end) + "]}";
    }
    header += '}';
    std::string length;
    for (unsigned i = 0; i < 8; ++i) length += static_cast<char>(header.size() >> (8 * i) & 0xFFU);
    write("model.safetensors", length + header + std::string(end, '\0'));
  }

  [[nodiscard]] std::string weights_problem(const OlmoeConfig& config, const std::vector<ExpectedTensor>& tensors,
                                            DType dtype = DType::bf16) const {
    write_weights(tensors, dtype);
    return problem([&] { check_weights(config, Safetensors::open(folder_)); });
  }

  fs::path folder_;
  const OlmoeConfig config_{.vocab_size = 10,
                            .hidden_size = 16,
                            .intermediate_size = 6,
                            .num_hidden_layers = 2,
                            .num_attention_heads = 4,
                            .num_key_value_heads = 2,
                            .head_dim = 4,
                            .num_experts = 3,
                            .num_experts_per_tok = 2};
};

TEST_F(ExpectedTensors, NamesAndShapesAsTransformersWritesThem) {
  const auto tensors = routesig::expected_tensors(config_);
  ASSERT_EQ(tensors.size(), 3U + 2U * (9U + 3U * 3U));
  const auto shape = [&](std::string_view name) {
    const auto found = std::ranges::find(tensors, name, &ExpectedTensor::name);
    return found == tensors.end() ? std::vector<std::int64_t>{} : found->shape;
  };
  EXPECT_THAT(shape("model.embed_tokens.weight"), ElementsAre(10, 16));
  EXPECT_THAT(shape("model.layers.0.self_attn.q_proj.weight"), ElementsAre(16, 16));
  EXPECT_THAT(shape("model.layers.0.self_attn.k_proj.weight"), ElementsAre(8, 16));
  EXPECT_THAT(shape("model.layers.1.self_attn.v_proj.weight"), ElementsAre(8, 16));
  EXPECT_THAT(shape("model.layers.1.self_attn.q_norm.weight"), ElementsAre(16));
  EXPECT_THAT(shape("model.layers.1.self_attn.k_norm.weight"), ElementsAre(8));
  EXPECT_THAT(shape("model.layers.1.mlp.gate.weight"), ElementsAre(3, 16));
  EXPECT_THAT(shape("model.layers.1.mlp.experts.2.gate_proj.weight"), ElementsAre(6, 16));
  EXPECT_THAT(shape("model.layers.1.mlp.experts.2.down_proj.weight"), ElementsAre(16, 6));
  EXPECT_THAT(shape("lm_head.weight"), ElementsAre(10, 16));
  const auto fused = routesig::expected_tensors(config_, ExpertLayout::fused);
  const auto gate_up = std::ranges::find(fused, "model.layers.1.mlp.experts.gate_up_proj", &ExpectedTensor::name);
  ASSERT_NE(gate_up, fused.end());
  EXPECT_THAT(gate_up->shape, ElementsAre(3, 12, 16));
}

TEST_F(ExpectedTensors, BothExpertLayoutsAndEveryDTypeThatIsReadPass) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (const ExpertLayout layout : {ExpertLayout::separate, ExpertLayout::fused}) {
      write_weights(routesig::expected_tensors(config_, layout), dtype);
      EXPECT_EQ(check_weights(config_, Safetensors::open(folder_)), layout);
    }
}

TEST_F(ExpectedTensors, OtherDTypesAreRefused) {
  const auto tensors = routesig::expected_tensors(config_);
  for (const DType dtype : {DType::f64, DType::i8, DType::u8, DType::f8_e4m3, DType::i64})
    EXPECT_THAT(weights_problem(config_, tensors, dtype),
                HasSubstr("expected F32, BF16 or F16, found " + std::string(routesig::name(dtype))));
}

TEST_F(ExpectedTensors, EveryTensorMissingIsNamed) {
  for (const ExpertLayout layout : {ExpertLayout::separate, ExpertLayout::fused}) {
    const auto all = routesig::expected_tensors(config_, layout);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto tensors = all;
      tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(i));
      // Without the tensor that shows the fused layout, the experts are looked for one by one.
      const bool witness = all[i].name == "model.layers.0.mlp.experts.gate_up_proj";
      EXPECT_THAT(weights_problem(config_, tensors),
                  AllOf(HasSubstr("it is missing"), HasSubstr(witness ? "experts.0.gate_proj" : all[i].name)));
    }
  }
}

TEST_F(ExpectedTensors, EveryDimensionWrongNamesTheFieldOfTheConfig) {
  for (const ExpertLayout layout : {ExpertLayout::separate, ExpertLayout::fused}) {
    const auto all = routesig::expected_tensors(config_, layout);
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t axis = 0; axis < all[i].shape.size(); ++axis) {
        auto tensors = all;
        ++tensors[i].shape[axis];
        EXPECT_THAT(
            weights_problem(config_, tensors),
            AllOf(HasSubstr('"' + all[i].name + '"'), HasSubstr("expected shape " + routesig::shape_text(all[i].shape)),
                  HasSubstr("found " + routesig::shape_text(tensors[i].shape)),
                  HasSubstr(std::string(all[i].axes[axis]) + " is ")));
      }
  }
}

TEST_F(ExpectedTensors, AWrongShapeReadsAsOneSentence) {
  auto tensors = routesig::expected_tensors(config_);
  std::ranges::find(tensors, "model.layers.0.mlp.gate.weight", &ExpectedTensor::name)->shape = {4, 16};
  EXPECT_EQ(weights_problem(config_, tensors),
            (folder_ / "model.safetensors").string() +
                ": tensor \"model.layers.0.mlp.gate.weight\": expected shape [3, 16], "
                "found [4, 16]: num_experts is 3 by config.json and 4 here");
}

TEST_F(ExpectedTensors, ExtraTensorsAreRefusedUnlessHarmless) {
  const auto all = routesig::expected_tensors(config_);
  for (const char* name :
       {"model.layers.2.input_layernorm.weight", "model.layers.0.mlp.experts.3.up_proj.weight",
        "model.layers.0.self_attn.q_proj.bias", "model.layers.1.mlp.experts.down_proj", "x.rotary_emb.inv_freq"}) {
    auto tensors = all;
    tensors.push_back({.name = name, .shape = {1}});
    EXPECT_THAT(weights_problem(config_, tensors),
                AllOf(HasSubstr(name), HasSubstr("no such tensor (2 layers of 3 experts)")));
  }
  for (const char* name : {"model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"}) {
    auto tensors = all;
    tensors.push_back({.name = name, .shape = {2}});
    EXPECT_EQ(weights_problem(config_, tensors), "");
  }
}

TEST_F(ExpectedTensors, BiasesBelongToAModelWithAttentionBias) {
  OlmoeConfig config = config_;
  config.attention_bias = true;
  EXPECT_THAT(weights_problem(config, routesig::expected_tensors(config_)),
              HasSubstr("q_proj.bias\": expected by config.json with shape [16]"));
  EXPECT_EQ(weights_problem(config, routesig::expected_tensors(config)), "");
}

TEST_F(ExpectedTensors, ATiedHeadIsAbsentOrEqualToTheEmbedding) {
  OlmoeConfig tied = config_;
  tied.tie_word_embeddings = true;
  EXPECT_EQ(weights_problem(tied, routesig::expected_tensors(tied)), "");
  auto tensors = routesig::expected_tensors(config_);
  EXPECT_EQ(weights_problem(tied, tensors), "");  // stored all the same, both zero
  std::fstream file(folder_ / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);  // the head is the last tensor
  file.put('\1');
  file.close();
  EXPECT_THAT(problem([&] { check_weights(tied, Safetensors::open(folder_)); }),
              AllOf(HasSubstr("lm_head.weight"), HasSubstr("tie_word_embeddings")));
  EXPECT_EQ(problem([&] { check_weights(config_, Safetensors::open(folder_)); }), "");
  tensors.back().shape = {9, 16};
  EXPECT_THAT(weights_problem(tied, tensors), HasSubstr("tie_word_embeddings"));
}

TEST_F(ExpectedTensors, AConfigOfBillionsOfTensorsIsRefusedAtTheFirstMissingOne) {
  OlmoeConfig config = config_;
  config.num_experts = routesig::kMaxExperts;
  config.num_hidden_layers = 4096;
  EXPECT_THAT(weights_problem(config, routesig::expected_tensors(config_)),
              HasSubstr("num_experts is 65534 by config.json and 3 here"));
}

}  // namespace
