// Traces of chosen words: made by hand, or drawn from a small world in which routing follows word, task or both.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "routesig/random.hpp"
#include "routesig/trace.hpp"
#include "traces.hpp"

namespace routesig::testing {

/// Prompt tokens with the given ids; `experts` [tokens, layers, top_k] flat; positions from `first_position` on.
inline RoutingTrace worded(const std::shared_ptr<const RoutingInfo>& info, std::vector<std::int32_t> ids,
                           std::vector<ExpertId> experts, std::string id, std::string task, int first_position = 1) {
  const RoutingTrace plain =
      trace_of(info, std::move(experts), static_cast<int>(ids.size()), std::move(id), std::move(task));
  TraceColumns columns = plain.columns();
  columns.token_ids = std::move(ids);
  for (std::int32_t& position : columns.positions) position += first_position;
  return {info, plain.sequence(), std::move(columns)};
}

struct World {
  int tasks = 4, prompts = 5, tokens = 20;  // prompts per task, tokens per prompt
  int words = 12;                           // half of a prompt's words come from its task's third of them
  double context = 0.0;                     // share of tokens routed by their task instead of their word
};

/// Prompts of a world. Routing given the word is the same everywhere, except for `context`.
inline TraceSet draw(const World& world, std::uint64_t seed) {
  const auto info = shape(2, 16, 2);
  Random random(seed, 99);
  TraceSet set;
  for (int task = 0; task < world.tasks; ++task)
    for (int p = 0; p < world.prompts; ++p) {
      std::vector<std::int32_t> ids;
      std::vector<ExpertId> experts;
      for (int t = 0; t < world.tokens; ++t) {
        const auto words = static_cast<std::uint32_t>(world.words);
        const std::uint32_t own = (static_cast<std::uint32_t>(task) * 3 + random.below(words / 3)) % words;
        const std::uint32_t word = random.uniform() < 0.5 ? own : random.below(words);
        ids.push_back(static_cast<std::int32_t>(word));
        for (std::uint32_t layer = 0; layer < 2; ++layer) {
          // A favourite expert of the word (or of the task), and another at random.
          const bool by_task = random.uniform() < world.context;
          const std::uint32_t favourite = by_task ? 4U * static_cast<std::uint32_t>(task) : (word * 5 + layer * 7) % 16;
          const std::uint32_t a = random.uniform() < 0.6 ? favourite : random.below(16);
          const std::uint32_t b = (a + 1 + random.below(15)) % 16;
          experts.push_back(static_cast<ExpertId>(a));
          experts.push_back(static_cast<ExpertId>(b));
        }
      }
      set.push_back(
          worded(info, std::move(ids), std::move(experts), sentence("p", task, "-", p), sentence("task", task)));
    }
  return set;
}

/// The same prompts in groups of `size` in a row, each within one task.
inline TraceSet grouped(const TraceSet& set, std::size_t size) {
  TraceSet out;
  for (const RoutingTrace& trace : set) {
    SequenceInfo sequence = trace.sequence();
    sequence.group = sentence(sequence.task, " ", out.size() / size);
    out.push_back(RoutingTrace(trace.shared_info(), std::move(sequence), trace.columns()));
  }
  return out;
}

}  // namespace routesig::testing
