/// \file residual_similarity.hpp
/// What is left of the similarity of two prompts when each token keeps its word and takes the routing that this word
/// had somewhere else: similarity less its mean under the same-token shuffle.
///
///     const auto residual = routesig::residual_similarity(table, {.shuffles = 200});
///     const auto test = routesig::permutation_test(residual, table.task, table.group);   // context that follows the
///     task
///
/// Permuting the labels of prompts (or whole groups) on the residual tests whether the routing of equal words follows
/// the task. The p-value of the shuffle itself does not: it rejects where each prompt routes in ways of its own.
#pragma once

#include <vector>

#include "routesig/controls/token_shuffle.hpp"
#include "routesig/controls/token_table.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

/// Mean layer-wise cosine less its mean under the shuffles of `token_shuffle`, for every pair of the table's prompts:
/// [prompts, prompts], symmetric; NaN where two prompts share no layer that both know.
[[nodiscard]] std::vector<double> residual_similarity(const TokenTable& table, const ShuffleOptions& options = {},
                                                      const Progress& progress = {});

}  // namespace routesig
