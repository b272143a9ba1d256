/// \file information.hpp
/// How many bits routing tells about the task: bounds from a classifier's predictions, and an estimate layer by layer.
///
///     const auto bound = routesig::log_loss_bound(out_of_fold, labels, /*classes=*/4);    // I(S; T) >= bound.bits
///     const auto fano = routesig::fano_bound(/*errors=*/6, /*n=*/80, /*classes=*/4);      // valid at 95 %
///     const auto layers = routesig::layer_information(set.values, 80, 16, 64, labels, groups);
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/statistics/labelling.hpp"
#include "routesig/statistics/statistics.hpp"

namespace routesig {

/// H = -sum p log2 p; entries that are not above 0 count nothing.
[[nodiscard]] double entropy_bits(std::span<const double> p) noexcept;

/// I(S; T) >= H(T) - cross-entropy, in bits, of predictions that were made without the predicted prompt.
struct LogLossBound {
  double bits = 0.0;            ///< at least 0
  double unclipped_bits = 0.0;  ///< H(T) - loss; below 0 where predictions are worse than guessing
  double entropy_bits = 0.0;    ///< H(T), from the shares of the labels
  double loss_bits = 0.0;       ///< mean of -log2 q(label)
  double standard_error = 0.0;  ///< of the loss over prompts (ddof 1); 0 for one
};

/// `probabilities` [n, classes], out of fold; `label` [n] in 0 ... classes - 1. Every probability q is taken as
/// (1 - floor) q + floor / classes, so that one sure mistake does not cost everything.
[[nodiscard]] LogLossBound log_loss_bound(std::span<const double> probabilities, std::span<const int> label,
                                          std::size_t classes, double floor = 0.01);

/// The largest error rate that `errors` of `n` leave possible: one-sided upper limit (Clopper and Pearson 1934).
[[nodiscard]] double upper_error(std::uint64_t errors, std::uint64_t n, double confidence = 0.95);

/// Fano: I(S; T) >= H(T) - h(P) - P log2(C - 1) with P the error rate.
struct FanoBound {
  double point_bits = 0.0;   ///< at the observed error rate: no bound, an estimate of one
  double valid_bits = 0.0;   ///< at the upper limit of the error rate: holds with the given confidence, as far as
                             ///< errors are independent
  double upper_error = 0.0;  ///< that limit
};

/// For `errors` of `n` prompts out of `classes` tasks; `entropy` is H(T), by default log2(classes).
[[nodiscard]] FanoBound fano_bound(std::uint64_t errors, std::uint64_t n, int classes, double confidence = 0.95,
                                   std::optional<double> entropy = {});

/// What the expert of a layer tells about the task, in bits. Absent where fewer than two tasks have prompts with
/// routing there, or no more prompts (or groups) than tasks.
struct LayerInformation {
  std::size_t prompts = 0;                 ///< labelled, with routing in this layer
  std::size_t units = 0;                   ///< those prompts, or their groups: N
  std::optional<double> plug_in{};         ///< biased upwards
  std::optional<double> null_mean{};       ///< mean of plug_in under permuted labels
  std::optional<double> corrected{};       ///< (plug_in - null_mean)(N - 1) / (N - C)
  std::optional<double> standard_error{};  ///< of corrected: jackknife over units
  std::optional<double> statistic{};       ///< distance between tasks over its expectation without a difference
  std::optional<PValue> p{};               ///< one-sided, of `statistic` under permuted labels
  std::vector<double> draws{};             ///< [labellings] plug_in under permuted labels
  std::vector<double> statistics{};        ///< [labellings] statistic under permuted labels
};

/// Layer by layer: I = H(sum_c pi_c s_c) - sum_c pi_c H(s_c) with s_c the mean signature of a task, every prompt
/// weighing the same, corrected by the same estimate under permuted labels. `values` [prompts, layers, experts]; `task`
/// [prompts], negative where unlabelled (left out); `group` [prompts] or empty: whole groups are permuted and left out,
/// a negative group is a prompt alone. All layers share their labellings; with 0 permutations there is no correction. p
/// is that of `statistic`, whose level does not depend on the lengths of texts or the sizes of groups as plug_in's
/// does.
[[nodiscard]] std::vector<LayerInformation> layer_information(std::span<const double> values, std::size_t prompts,
                                                              std::size_t layers, std::size_t experts,
                                                              std::span<const int> task,
                                                              std::span<const int> group = {},
                                                              LabellingOptions options = {.permutations = 1'000},
                                                              const Progress& progress = {});

}  // namespace routesig
