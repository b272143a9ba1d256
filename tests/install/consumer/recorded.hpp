// Two prompts recorded by hand: 2 layers, 4 experts, top-1. What an engine's router callback would tell a recorder.
#pragma once

#include <array>
#include <cstdint>
#include <routesig/routesig.hpp>

inline routesig::TraceRecorder recorded() {
  using enum routesig::TokenType;
  const std::array<std::int32_t, 6> sequence{0, 0, 0, 1, 1, 1};
  const std::array<std::int32_t, 6> position{0, 1, 2, 0, 1, 2};
  const std::array<routesig::TokenType, 6> type{prompt, prompt, generation, prompt, prompt, generation};
  const std::array<routesig::ExpertId, 6> first{0, 0, 1, 0, 1, 1};   // shares 2/3, 1/3 and 1/3, 2/3: cosine 0.8
  const std::array<routesig::ExpertId, 6> second{3, 3, 3, 2, 2, 2};  // nothing in common: cosine 0

  routesig::TraceRecorder recorder(routesig::RoutingNeeds{});
  recorder.begin({.layers = 2, .experts = 4, .top_k = 1});
  recorder.begin_sequence(0, {.id = "code-01", .task = "code", .prompt_tokens = 2});
  recorder.begin_sequence(1, {.id = "math-01", .task = "math", .prompt_tokens = 2});
  recorder.step({.sequence = sequence, .position = position, .token = {}, .type = type});
  recorder.layer({.layer = 0, .experts = first});
  recorder.layer({.layer = 1, .experts = second});
  recorder.end();
  return recorder;
}
