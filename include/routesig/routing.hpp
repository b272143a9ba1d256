/// \file routing.hpp
/// The shapes of routing data, as they travel from a model to a recorder. Standard library only.
///
///     routesig::RoutingInfo info{.layers = 16, .experts = 64, .top_k = 8};
///     info.check();                                   // throws std::invalid_argument on an impossible shape
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routesig/error.hpp"

namespace routesig {

/// An expert of one layer, 0-based.
using ExpertId = std::uint16_t;

/// No routing is known for this row of this layer.
inline constexpr ExpertId kNoExpert = 0xFFFF;

/// The largest number of experts a layer may have: ids stay below kNoExpert.
inline constexpr int kMaxExperts = 65'534;

/// The largest number of layers, and of experts in all layers together: far above any model, and a signature of such a
/// shape still takes no more than 128 MiB.
inline constexpr int kMaxLayers = 65'536;
inline constexpr std::int64_t kMaxExpertsInAll = std::int64_t{1} << 24;

/// What a token is to the model: part of the prompt, or an input that the model itself generated a step earlier.
enum class TokenType : std::uint8_t { prompt = 0, generation = 1 };

[[nodiscard]] constexpr std::string_view name(TokenType type) noexcept {
  return type == TokenType::prompt ? "prompt" : "generation";
}

/// The routing shape of a model and where it comes from.
struct RoutingInfo {
  int layers = 0;   ///< mixture-of-experts layers, dense ones not counted
  int experts = 0;  ///< experts per layer
  int top_k = 0;    ///< experts per token

  std::vector<int> model_layers{};  ///< [layers] index of each in the whole model; empty means 0, 1, 2, ...
  bool ranked = true;               ///< the experts of a row are ordered best first
  bool renormalized = false;        ///< the weights of a row are divided by their sum

  std::string model_name{};
  std::string model_sha256{};
  std::string model_dtype{};
  std::string tokenizer_sha256{};

  /// Throws std::invalid_argument where the shape is impossible.
  void check() const {
    if (layers < 1 || layers > kMaxLayers)
      throw invalid_argument("routing: expected 1 to ", kMaxLayers, " layers, got ", layers);
    if (experts < 1 || experts > kMaxExperts)
      throw invalid_argument("routing: expected 1 to ", kMaxExperts, " experts, got ", experts);
    if (std::int64_t{layers} * experts > kMaxExpertsInAll)
      throw invalid_argument("routing: expected at most ", kMaxExpertsInAll, " experts in all layers together, got ",
                             layers, " x ", experts);
    if (top_k < 1 || top_k > experts)
      throw invalid_argument("routing: expected top_k from 1 to ", experts, " (the number of experts), got ", top_k);
    if (!model_layers.empty() && std::cmp_not_equal(model_layers.size(), layers))
      throw invalid_argument("routing: expected ", layers, " model_layers, got ", model_layers.size());
  }

  [[nodiscard]] bool same_shape(const RoutingInfo& other) const noexcept {
    return layers == other.layers && experts == other.experts && top_k == other.top_k;
  }

  friend bool operator==(const RoutingInfo&, const RoutingInfo&) = default;
};

/// A field that a prompt carries beside id, task, text and group: its name and its value as JSON text.
using Field = std::pair<std::string, std::string>;

/// One prompt and what is known of it.
struct SequenceInfo {
  std::string id{};
  std::string task{};  ///< "" where unknown
  std::string text{};
  std::string group{};  ///< template or near-duplicate family; "" where unknown
  int prompt_tokens = 0;
  std::vector<Field> fields{};

  friend bool operator==(const SequenceInfo&, const SequenceInfo&) = default;
};

/// What each row of one forward step is. A row is a token that was *fed to the model*: the last sampled token never is.
struct StepRows {
  std::span<const std::int32_t> sequence;  ///< [rows] number given to RoutingRecorder::begin_sequence
  std::span<const std::int32_t> position;  ///< [rows] 0-based position in the sequence
  std::span<const std::int32_t> token;     ///< [rows] token ids, or empty
  std::span<const TokenType> type;         ///< [rows]

  [[nodiscard]] std::size_t rows() const noexcept { return sequence.size(); }
};

/// One layer's decisions for the rows of the current step. Owns nothing; valid for the call only.
struct LayerRouting {
  int layer = 0;                              ///< 0-based among the mixture-of-experts layers
  std::span<const ExpertId> experts;          ///< [rows, top_k], best first
  std::span<const float> weights{};           ///< [rows, top_k] as applied, or empty
  std::span<const float> logits{};            ///< [rows, experts], or empty
  std::span<const std::uint8_t> nonfinite{};  ///< [rows] 1 where the router's logits were not finite, or empty

  /// False where what chose the experts of `row` was not finite, by its flag or by a weight: its ids are no data, and
  /// recorders keep it as a row of which nothing is known.
  [[nodiscard]] bool is_finite(std::size_t row, std::size_t top_k) const noexcept {
    if (!nonfinite.empty() && nonfinite[row] != 0) return false;
    return weights.empty() ||
           std::ranges::all_of(weights.subspan(row * top_k, top_k), [](float w) { return std::isfinite(w); });
  }
};

/// What a recorder wants to hear beside the expert ids; the model computes no more than this.
struct RoutingNeeds {
  bool weights = false;
  bool logits = false;

  [[nodiscard]] friend constexpr RoutingNeeds operator|(RoutingNeeds a, RoutingNeeds b) noexcept {
    return {a.weights || b.weights, a.logits || b.logits};
  }
};

}  // namespace routesig
