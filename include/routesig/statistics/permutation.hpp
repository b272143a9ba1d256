/// \file permutation.hpp
/// Could the separation of tasks be chance? Permute the task labels and see how often it is as large.
///
///     const auto test = routesig::permutation_test(similarity, task, group, {.permutations = 10'000, .seed = 0});
///     for (const auto& t : test.tests) use(t.difference, t.p.value, t.p.floor);
///
/// H0: prompts (or whole groups) are exchangeable across tasks, their length included. One-sided: larger D = within -
/// across, p = (1 + #{D* >= D}) / (1 + P), or #/M where all M labellings are looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics/labelling.hpp"
#include "routesig/statistics/statistics.hpp"

namespace routesig {

/// One similarity matrix against its null distribution.
struct SeparationTest {
  std::optional<double> difference{};  ///< D = mean within - mean across; absent where pairs of either kind are missing
  std::optional<PValue> p{};  ///< of D; also of d where all labellings have as many pairs, as d then grows with D
  std::optional<double> cohens_d{};  ///< absent where similarities do not vary
  std::optional<PValue> cohens_d_p{};
  std::optional<PValue> adjusted{};  ///< of d among all matrices: single-step max-T [Westfall and Young 1993]
};

struct PermutationTest {
  std::size_t units = 0;                    ///< prompts, or groups, whose labels were permuted
  bool exact = false;                       ///< every labelling was looked at once
  std::size_t permutations = 0;             ///< labellings looked at
  std::optional<std::uint64_t> possible{};  ///< different labellings; absent above 2^63
  std::vector<SeparationTest> tests{};  ///< [matrices]; empty where there are no pairs within (short_task) or across
  std::vector<double> null{};           ///< [matrices, permutations] or empty: D of each labelling
};

/// Tests one similarity matrix [n, n], or several [matrices, n, n] (layers) under the same labellings. `task` is [n]; a
/// negative task is left out. `group` is [n] or empty: labels are assigned to whole groups; a negative group is a
/// prompt alone. Where no two prompts share a task, or all do, difference and d are absent.
[[nodiscard]] PermutationTest permutation_test(std::span<const double> similarity, std::span<const int> task,
                                               std::span<const int> group = {}, const LabellingOptions& options = {},
                                               const Progress& progress = {});

/// The same of the layer-wise cosines of a set, one matrix in memory at a time.
[[nodiscard]] PermutationTest layer_permutation_test(const SignatureView& set, std::span<const int> task,
                                                     std::span<const int> group = {},
                                                     const LabellingOptions& options = {},
                                                     const Progress& progress = {});

}  // namespace routesig
