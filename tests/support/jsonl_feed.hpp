// Feeds a recorder as a model would: one step by hand, or a run of sequences that interleave.
#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "routesig/random.hpp"
#include "routesig/recorder.hpp"

namespace routesig::testing {

/// One step. `experts` and `weights` are [layers][rows * top_k]; `nonfinite`, where given, is [rows] of the last layer.
inline void feed(RoutingRecorder& recorder, const std::vector<std::int32_t>& sequence,
                 const std::vector<std::int32_t>& position, const std::vector<std::int32_t>& token, TokenType type,
                 const std::vector<std::vector<ExpertId>>& experts, const std::vector<std::vector<float>>& weights,
                 const std::vector<std::uint8_t>& nonfinite = {}) {
  const std::vector<TokenType> types(sequence.size(), type);
  recorder.step({.sequence = sequence, .position = position, .token = token, .type = types});
  for (std::size_t l = 0; l < experts.size(); ++l) {
    LayerRouting routing{.layer = static_cast<int>(l), .experts = experts[l], .weights = weights[l]};
    if (l + 1 == experts.size()) routing.nonfinite = nonfinite;
    recorder.layer(routing);
  }
}

/// A run of `sequences` prompts named "s0", "s1", ..., whose rows share steps; every fourth step each row joins or not.
inline void feed_random(RoutingRecorder& recorder, const RoutingInfo& info, int sequences, int steps,
                        std::uint64_t seed, bool end = true) {
  Random random(seed);
  recorder.begin(info);
  for (int s = sequences - 1; s >= 0; --s) recorder.begin_sequence(s, {.id = sentence("s", s), .prompt_tokens = 3});
  std::vector<std::int32_t> length(static_cast<std::size_t>(sequences), 0);
  std::vector<ExpertId> all(static_cast<std::size_t>(info.experts));
  std::iota(all.begin(), all.end(), ExpertId{0});
  for (int step = 0; step < steps; ++step) {
    std::vector<std::int32_t> sequence, position, token;
    for (int s = 0; s < sequences; ++s) {
      if (random.uniform() < 0.3) continue;
      sequence.push_back(s);
      position.push_back(length[static_cast<std::size_t>(s)]++);
      token.push_back(static_cast<std::int32_t>(random.uniform() * 50'000));
    }
    std::vector<std::vector<ExpertId>> experts(static_cast<std::size_t>(info.layers));
    std::vector<std::vector<float>> weights(static_cast<std::size_t>(info.layers));
    std::vector<std::uint8_t> nonfinite(sequence.size());
    for (std::size_t l = 0; l < experts.size(); ++l)
      for (std::size_t row = 0; row < sequence.size(); ++row) {
        random.shuffle(std::span(all));
        experts[l].insert(experts[l].end(), all.begin(), all.begin() + info.top_k);
        for (int i = 0; i < info.top_k; ++i) weights[l].push_back(static_cast<float>(random.uniform()));
        nonfinite[row] = random.uniform() < 0.1 ? 1 : 0;
      }
    feed(recorder, sequence, position, token, step < 3 ? TokenType::prompt : TokenType::generation, experts, weights,
         nonfinite);
  }
  if (!end) return;
  for (int s = 0; s < sequences; s += 2) recorder.end_sequence(s);
  recorder.end();
}

}  // namespace routesig::testing
