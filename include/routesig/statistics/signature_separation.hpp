/// \file signature_separation.hpp
/// The separation of a set's mean layer-wise cosines without a matrix [prompts, prompts]: what many prompts need.
///
///     const auto s = routesig::signature_separation(set, tasks, groups);  // that of similarity_matrix(set)
///
/// Where u holds the unit rows of a prompt side by side, the similarity of two is u_i . u_j. Over pairs, similarities
/// sum to a part of |sum u|^2 and their squares to a part of |sum u u^T|^2: matrices [cells, cells], cells = layers x
/// experts, however many prompts there are.
#pragma once

#include <span>

#include "routesig/similarity.hpp"
#include "routesig/statistics/statistics.hpp"

namespace routesig {

/// separation(similarity_matrix(set), task, group) up to rounding, by whichever way has less to add up.
[[nodiscard]] Separation signature_separation(const SignatureView& set, std::span<const int> task,
                                              std::span<const int> group = {});

}  // namespace routesig
