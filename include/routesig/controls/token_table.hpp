/// \file token_table.hpp
/// All tokens of a set of labelled prompts in one table, and the strata within which their routing may be exchanged.
///
///     const routesig::TokenTable table = routesig::token_table(traces);
///     const auto source = table.shuffled(/*seed=*/0, /*repetition=*/3);   // whose routing each token receives
///     const auto counts = table.counts(source);                           // [prompts, layers, experts]
///
/// Prompts are ordered by task, group and id, so that nothing made from a table depends on the order of the traces, and
/// prompts of one group lie together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/random.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"
#include "routesig/statistics/unit_pairs.hpp"
#include "routesig/trace.hpp"

namespace routesig {

struct TokenTableOptions {
  TokenSet tokens = TokenSet::all;
  bool drop_invalid = false;  ///< treat impossible rows as unknown (counted) instead of refusing them
  bool groups = true;         ///< keep the prompts' groups; false: each prompt is alone
};

struct TokenTable {
  std::size_t layers = 0;
  std::size_t experts = 0;
  std::size_t top_k = 0;

  std::vector<std::size_t> trace{};      ///< [prompts] index of each prompt's trace
  std::vector<int> task{};               ///< [prompts] 0, 0, ..., 1, 1, ...: ascending
  std::vector<int> group{};              ///< [prompts] number of the prompt's group; -1 where it has none
  std::vector<std::uint32_t> prompt{};   ///< [tokens] ascending
  std::vector<std::int32_t> token_id{};  ///< [tokens]
  std::vector<ExpertId> rows{};          ///< [tokens, layers, top_k]; kNoExpert where a layer is unknown
  /// The tokens of each stratum that spans two prompts or more. A stratum: same token id, prompt or generated, first
  /// position or not, and the same layers known. All other tokens stay where they are.
  std::vector<std::vector<std::uint32_t>> strata{};

  std::size_t movable = 0;                ///< tokens in those strata
  std::size_t across_tasks = 0;           ///< tokens in strata that span two tasks or more
  std::vector<std::size_t> unlabelled{};  ///< traces left out because they have no task
  std::vector<std::size_t> empty{};       ///< labelled traces left out because no token of the set has known routing
  std::uint64_t unknown_rows = 0;         ///< rows of the set, of labelled prompts, without known routing
  std::uint64_t dropped_rows = 0;         ///< impossible rows left out by drop_invalid

  /// Prompts and groups as `separation` sees them. Throws where a group has prompts of two tasks.
  [[nodiscard]] Units units() const { return Units(task, group); }
  [[nodiscard]] std::size_t prompts() const noexcept { return task.size(); }
  [[nodiscard]] std::size_t tokens() const noexcept { return prompt.size(); }
  [[nodiscard]] std::size_t tasks() const noexcept {
    return task.empty() ? 0 : static_cast<std::size_t>(task.back()) + 1;
  }
  /// The experts of one layer of one token; the first is kNoExpert where unknown. [top_k]
  [[nodiscard]] std::span<const ExpertId> row(std::size_t token, std::size_t layer) const noexcept {
    return std::span(rows).subspan((token * layers + layer) * top_k, top_k);
  }

  /// [prompts + 1] Where the tokens of every prompt begin, and where the last one's end.
  [[nodiscard]] std::vector<std::size_t> begins() const {
    std::vector<std::size_t> out(prompts() + 1);
    for (const std::uint32_t p : prompt) ++out[p + 1];
    std::partial_sum(out.begin(), out.end(), out.begin());
    return out;
  }
  /// Those tokens alone whose stratum spans two tasks or more, and the prompts that have any.
  [[nodiscard]] TokenTable crossing() const;

  /// [tokens] Every token receives its own routing.
  [[nodiscard]] std::vector<std::uint32_t> unshuffled() const {
    std::vector<std::uint32_t> source(tokens());
    std::iota(source.begin(), source.end(), 0U);
    return source;
  }
  /// [tokens] Whose routing each token receives in one shuffle within strata: a function of seed and repetition alone.
  [[nodiscard]] std::vector<std::uint32_t> shuffled(std::uint64_t seed, std::uint64_t repetition) const {
    std::vector<std::uint32_t> source = unshuffled(), order;
    Random random(seed, stream(Draws::token_shuffle, repetition));
    for (const auto& stratum : strata) {
      order = stratum;
      random.shuffle(std::span(order));
      for (std::size_t i = 0; i < order.size(); ++i) source[stratum[i]] = order[i];
    }
    return source;
  }
  /// Tokens that chose each expert, [prompts, layers, experts], when token t has the routing of source[t].
  [[nodiscard]] std::vector<std::uint32_t> counts(std::span<const std::uint32_t> source) const {
    std::vector<std::uint32_t> out(prompts() * layers * experts);
    for (std::size_t t = 0; t < tokens(); ++t) {
      if (t % 1024 == 0) interruption_point();
      for (std::size_t l = 0; l < layers; ++l) {
        const auto experts_of = row(source[t], l);
        std::uint32_t* const cell = out.data() + (prompt[t] * layers + l) * experts;
        if (experts_of[0] != kNoExpert)
          for (const ExpertId e : experts_of) ++cell[e];
      }
    }
    return out;
  }
};

/// The table of the traces that have a task. Throws std::invalid_argument on traces without token ids, and on
/// impossible rows unless `drop_invalid`.
[[nodiscard]] TokenTable token_table(std::span<const RoutingTrace> traces, const TokenTableOptions& options = {});

[[nodiscard]] TokenTable token_table(const TraceSet& traces, const TokenTableOptions& options = {});

}  // namespace routesig
