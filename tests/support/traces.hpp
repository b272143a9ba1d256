// Small traces for tests: random routing of any shape, and one-liners for hand-made ones.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "routesig/random.hpp"
#include "routesig/trace.hpp"

namespace routesig::testing {

inline std::shared_ptr<const RoutingInfo> shape(int layers, int experts, int top_k) {
  return std::make_shared<const RoutingInfo>(RoutingInfo{.layers = layers, .experts = experts, .top_k = top_k});
}

/// A trace of the given ids, [tokens, layers, top_k] flat; the first `prompt_tokens` tokens are prompt tokens.
inline RoutingTrace trace_of(const std::shared_ptr<const RoutingInfo>& info, std::vector<ExpertId> experts,
                             int prompt_tokens, std::string id = "t", std::string task = "") {
  const int tokens = static_cast<int>(experts.size()) / (info->layers * info->top_k);
  TraceColumns columns{.experts = std::move(experts)};
  for (int t = 0; t < tokens; ++t) {
    columns.positions.push_back(t);
    columns.token_ids.push_back(100 + t);
    columns.types.push_back(t < prompt_tokens ? TokenType::prompt : TokenType::generation);
  }
  return {info, {.id = std::move(id), .task = std::move(task), .prompt_tokens = prompt_tokens}, std::move(columns)};
}

/// Every row: k distinct experts in random order, weights falling and summing to less than 1.
inline RoutingTrace random_trace(const std::shared_ptr<const RoutingInfo>& info, int tokens, int prompt_tokens,
                                 std::uint64_t seed, std::string id = "t", std::string task = "") {
  Random random(seed);
  std::vector<ExpertId> all(static_cast<std::size_t>(info->experts)), experts;
  std::iota(all.begin(), all.end(), ExpertId{0});
  std::vector<float> weights;
  for (int row = 0; row < tokens * info->layers; ++row) {
    random.shuffle(std::span(all));
    experts.insert(experts.end(), all.begin(), all.begin() + info->top_k);
    for (int i = 0; i < info->top_k; ++i)
      weights.push_back(static_cast<float>(random.uniform()) / static_cast<float>(i + 1));
    std::sort(weights.end() - info->top_k, weights.end(), std::greater<>());
  }
  RoutingTrace plain = trace_of(info, std::move(experts), prompt_tokens, std::move(id), std::move(task));
  TraceColumns columns = plain.columns();
  columns.weights = std::move(weights);
  return {info, plain.sequence(), std::move(columns)};
}

}  // namespace routesig::testing
