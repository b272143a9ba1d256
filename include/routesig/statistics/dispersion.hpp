/// \file dispersion.hpp
/// Do tasks differ in how far their prompts spread? A label permutation test of D also rejects then.
///
///     const auto test = routesig::dispersion_test(similarity, task, group, {.permutations = 10'000, .seed = 0});
///     if (test.f) use(*test.f, test.p->value);
///
/// A prompt's distance is that to the centroid of its task without the prompt's own group, |e_i - c|, with unit vectors
/// e whose inner products are the similarities, times sqrt(m / (m + 1)) for the m prompts behind the centroid so that
/// it does not depend on their number. F compares the mean distances of tasks; their labels are permuted [after
/// Anderson, Biometrics 2006].
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/statistics/labelling.hpp"
#include "routesig/statistics/statistics.hpp"

namespace routesig {

struct DispersionTest {
  std::size_t units = 0;                          ///< prompts, or groups, whose labels were permuted
  bool exact = false;                             ///< every labelling was looked at once
  std::size_t permutations = 0;                   ///< labellings looked at
  std::vector<std::optional<double>> distance{};  ///< [n]: absent for unlabelled prompts and tasks of one unit
  std::optional<double> f{};                      ///< absent for fewer than two tasks, or distances that do not vary
  std::optional<PValue> p{};
};

/// `similarity` is [n, n], row-major, read from the diagonal on; `task` is [n], a negative one is left out, and so are
/// tasks of one prompt, or of one group. With `group` ([n] or empty), the mean distance of a group stands for its
/// prompts.
[[nodiscard]] DispersionTest dispersion_test(std::span<const double> similarity, std::span<const int> task,
                                             std::span<const int> group = {}, LabellingOptions options = {},
                                             const Progress& progress = {});

}  // namespace routesig
