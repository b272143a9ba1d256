/// \file overlap_ladder.hpp
/// How many experts do two tokens share, if they are the same word or not, in prompts of one task or of two? Free of
/// prompt length, and the difference between tasks at equal vocabulary.
///
///     const auto ladder = routesig::overlap_ladder(routesig::token_table(traces));
///     const auto same_word = ladder.layers[3].overlap[routesig::kSameIdSameTask];   // share of top_k, or nothing
///     if (ladder.effect && ladder.effect->error) use(ladder.effect->value, *ladder.effect->error);
///
/// Over pairs of tokens from different prompts, and from different groups where prompts have them; |E_s & E_t| is
/// summed by counting experts, never by visiting pairs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "routesig/controls/token_table.hpp"

namespace routesig {

/// The rungs: places in the arrays of four below.
inline constexpr std::size_t kSameIdSameTask = 0;

inline constexpr std::size_t kSameIdOtherTask = 1;

inline constexpr std::size_t kOtherIdSameTask = 2;

inline constexpr std::size_t kOtherIdOtherTask = 3;

using Rungs = std::array<std::optional<double>, 4>;

/// Vocabulary-matched effect Delta = sum_v w_v (O_v(same task) - O_v(other task)) / sum_v w_v over token ids v, with
/// w = n_s n_d / (n_s + n_d) of their pairs.
struct MatchedEffect {
  double value = 0.0;
  /// Standard error over prompts, over whole groups where there are groups: of the linearization of Delta in how often
  /// each of them counts. Absent where a task has fewer than 5 of them.
  std::optional<double> error{};
};

struct LadderLayer {
  Rungs overlap{};                       ///< sum |E_s & E_t| / (top_k x pairs); absent without a pair
  std::array<std::uint64_t, 4> pairs{};  ///< pairs of tokens from different prompts (groups)
  std::optional<double> chance{};        ///< sum pi_e^2 / top_k, pi_e the share of tokens that chose expert e
  std::optional<MatchedEffect> effect{};
};

struct OverlapLadder {
  std::vector<LadderLayer> layers{};
  Rungs overlap{};                        ///< means over the layers that have the rung
  std::optional<double> chance{};         ///< mean over layers
  std::optional<MatchedEffect> effect{};  ///< mean over layers; absent where no id has both kinds of pairs
  std::size_t units = 0;                  ///< prompts, or groups
  std::size_t fewest = 0;                 ///< of them in a task
  std::size_t token_ids = 0;              ///< ids with both kinds of pairs in some layer
};

/// The ladder of every layer and its means, and the vocabulary-matched effect with its standard error.
[[nodiscard]] OverlapLadder overlap_ladder(const TokenTable& table);

}  // namespace routesig
