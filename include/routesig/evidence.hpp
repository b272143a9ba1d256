/// \file evidence.hpp
/// What is known of a text after its first tokens: features of prefixes, and folds that keep groups together.
///
///     const auto early = routesig::prefix_signatures(traces, /*tokens=*/8);      // [prompts, layers, experts]
///     const auto fold = routesig::dealt_folds(tasks, groups, /*folds=*/5, /*seed=*/0);
///
/// With a classifier's out-of-fold probabilities from such features, log_loss_bound gives the evidence after 8 tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "routesig/known_tokens.hpp"
#include "routesig/random.hpp"

namespace routesig {

/// Signatures of the first `tokens` tokens of every trace (all of a shorter one), by position and by count:
/// [prompts, layers, experts].
[[nodiscard]] inline std::vector<double> prefix_signatures(std::span<const RoutingTrace> traces, int tokens,
                                                           const SignatureOptions& options = {}) {
  if (traces.empty()) return {};
  const RoutingInfo& info = traces[0].info();
  const auto layers = static_cast<std::size_t>(info.layers), experts = static_cast<std::size_t>(info.experts);
  std::vector<std::uint64_t> counts(traces.size() * layers * experts);
  parallel_for(traces.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto& positions = traces[i].columns().positions;
      std::vector<std::int32_t> chosen;  // positions of the token set, ascending
      for (int t = 0; t < traces[i].tokens(); ++t)
        if (contains(options.tokens, traces[i].columns().types[static_cast<std::size_t>(t)]))
          chosen.push_back(positions[static_cast<std::size_t>(t)]);
      std::ranges::sort(chosen);
      const auto kept = std::min(chosen.size(), static_cast<std::size_t>(std::max(tokens, 0)));
      if (kept == 0) continue;
      for (std::size_t l = 0; l < layers; ++l)
        for (const int token : known_tokens(traces[i], static_cast<int>(l), options)) {
          if (positions[static_cast<std::size_t>(token)] > chosen[kept - 1]) continue;
          for (const ExpertId e : traces[i].experts(static_cast<int>(l), token))
            ++counts[(i * layers + l) * experts + e];
        }
    }
  });
  return normalized_layers<double>(std::span<const std::uint64_t>(counts), info.experts);
}

/// The fold of every prompt, -1 where unlabelled: tasks spread evenly, groups (equal numbers) kept together. Within
/// each task the groups first met there are shuffled and dealt in turn.
[[nodiscard]] inline std::vector<int> dealt_folds(std::span<const int> task, std::span<const int> group, int folds,
                                                  std::uint64_t seed) {
  if (task.size() != group.size())
    throw invalid_argument("folds: expected a group for each of ", task.size(), " prompts, got ", group.size());
  std::map<int, std::vector<int>> met;  // task -> groups first met in it
  std::map<int, int> fold_of;           // group -> fold
  for (std::size_t i = 0; i < task.size(); ++i)
    if (task[i] >= 0 && fold_of.emplace(group[i], 0).second) met[task[i]].push_back(group[i]);
  if (folds < 2 || std::cmp_less(fold_of.size(), folds))
    throw invalid_argument("folds: expected 2 to ", fold_of.size(), " folds (the number of prompts or groups), got ",
                           folds);
  Random random(seed, stream(Draws::folds, 0));
  int next = 0;
  for (auto& [_, groups] : met) {
    random.shuffle(std::span(groups));
    for (const int one : groups) fold_of[one] = next++ % folds;
  }
  std::vector<int> out(task.size(), -1);
  for (std::size_t i = 0; i < task.size(); ++i)
    if (task[i] >= 0) out[i] = fold_of[group[i]];
  return out;
}

}  // namespace routesig
