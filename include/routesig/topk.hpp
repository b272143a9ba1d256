/// \file topk.hpp
/// The router's rules, in plain code: scores over all experts, the top k of them, ties to the lower index.
/// Every faster kernel is tested against this one.
///
///     const std::vector<float> logits{0.1F, 2.0F, 2.0F, -1.0F};
///     std::vector<routesig::ExpertId> experts(2);
///     std::vector<float> weights(2);
///     routesig::route_row(logits, experts, weights);  // experts {1, 2}: a tie goes to the lower index
///     routesig::route_row(logits, experts, weights, {.renormalize = true});  // the same experts, weights {0.5, 0.5}
///
/// Order: NaN lies below -inf, -0 equals +0, equal values keep their index order, so the ids of a row are always
/// distinct. A row that holds a NaN or a +inf, or nothing but -inf, has no softmax: its ids still follow the order, all
/// its weights are NaN, and `route_row` returns true so that nobody overlooks it. Sigmoid scores keep the same rule.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "routesig/routing.hpp"

#ifdef __CUDACC__
#define ROUTESIG_ON_BOTH __host__ __device__  // what kernels compute with the same bits
#else
#define ROUTESIG_ON_BOTH
#endif

namespace routesig {

/// What the experts are chosen by, and what becomes their weight.
enum class Scoring : std::uint8_t {
  softmax,            ///< by logit; weight = softmax over all experts                            [paper eq. 1]
  softmax_of_chosen,  ///< by logit; weight = softmax over the k chosen                           [Mixtral]
  sigmoid,            ///< by sigmoid(logit) + bias, in the best groups; weight = sigmoid(logit)  [DeepSeek-V3]
};

/// The most groups that experts may be divided into.
inline constexpr int kMaxExpertGroups = 8;

/// How a router turns the logits of a row into experts and weights.
struct RouterRule {
  Scoring scoring = Scoring::softmax;
  bool renormalize = false;  ///< divide the weights by their sum; a sum of 0 gives 1/k each
  float scale = 1.0F;        ///< times every weight, last
  int groups = 1;            ///< sigmoid: runs of experts / groups neighbours; a group scores the sum of its two best
  int kept_groups = 1;       ///< sigmoid: experts are chosen in this many best groups

  /// Throws std::invalid_argument where the rule does not fit `experts` and `top_k`.
  void check(int experts, int top_k) const {
    if (top_k < 1 || top_k > experts)
      throw invalid_argument("router rule: expected top_k from 1 to ", experts, " (the number of experts), got ",
                             top_k);
    if (!std::isfinite(scale)) throw invalid_argument("router rule: expected a finite scale, got ", scale);
    if (groups < 1 || groups > kMaxExpertGroups)
      throw invalid_argument("router rule: expected 1 to ", kMaxExpertGroups, " groups, got ", groups);
    if (kept_groups < 1 || kept_groups > groups)
      throw invalid_argument("router rule: expected to keep 1 to ", groups, " groups, got ", kept_groups);
    if (groups == 1) return;
    if (scoring != Scoring::sigmoid)
      throw invalid_argument("router rule: expected groups with sigmoid scoring only, got ", groups, " groups");
    if (experts % groups != 0 || experts / groups < 2)
      throw invalid_argument("router rule: expected ", groups, " equal groups of at least 2 experts, got ", experts,
                             " experts");
    if (top_k > experts / groups * kept_groups)
      throw invalid_argument("router rule: expected top_k of at most ", experts / groups * kept_groups, " (",
                             kept_groups, " groups of ", experts / groups, "), got ", top_k);
  }

  friend bool operator==(const RouterRule&, const RouterRule&) = default;
};

/// Bits of `logit` that order as unsigned integers do: NaN lowest, then -inf ... +inf; -0 equals +0.
[[nodiscard]] ROUTESIG_ON_BOTH inline std::uint32_t order_key(float logit) noexcept {
  if (std::isnan(logit)) return 0;
  const auto bits = std::bit_cast<std::uint32_t>(logit == 0.0F ? 0.0F : logit);
  return (bits & 0x8000'0000U) != 0 ? ~bits : bits | 0x8000'0000U;
}

namespace detail {

/// 2^exponent for exponents from -126 to 127.
[[nodiscard]] ROUTESIG_ON_BOTH inline float power_of_two(int exponent) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 127) << 23U);
}

/// 1 / x for x from 1 to 2: a line through it, and three steps of Newton. (A GPU's own division has a branch.)
[[nodiscard]] ROUTESIG_ON_BOTH inline float reciprocal(float x) noexcept {
  float r = std::fma(x, -8.0F / 17.0F, 24.0F / 17.0F);  // within 1/17 of it
  for (int step = 0; step < 3; ++step) r = std::fma(r, std::fma(-x, r, 1.0F), r);
  return r;
}

/// The best of the experts offered so far, best first. They are offered in ascending order, so that a tie goes to the
/// lower index.
class BestExperts {
 public:
  BestExperts(std::span<const float> scores, std::span<ExpertId> best) noexcept : scores_(scores), best_(best) {}

  void offer(std::size_t expert) noexcept {
    const float score = scores_[expert];
    if (taken_ == best_.size() && score <= scores_[best_.back()]) return;  // nearly all; a NaN compares as false
    const std::uint32_t key = order_key(score);
    if (taken_ < best_.size())
      ++taken_;
    else if (key <= key_at(taken_ - 1))
      return;
    std::size_t place = taken_ - 1;
    for (; place > 0 && key > key_at(place - 1); --place) best_[place] = best_[place - 1];
    best_[place] = static_cast<ExpertId>(expert);
  }

 private:
  [[nodiscard]] std::uint32_t key_at(std::size_t place) const noexcept { return order_key(scores_[best_[place]]); }

  std::span<const float> scores_;
  std::span<ExpertId> best_;
  std::size_t taken_ = 0;  // places that are filled
};

}  // namespace detail

/// 1 / (1 + e^-x) in fp32, within 2e-7 of it, with the same bits on every processor and every GPU, because it decides
/// which expert is chosen: the fused multiply-adds are written out, and fusing what is left changes no bit.
[[nodiscard]] ROUTESIG_ON_BOTH inline float sigmoid(float x) noexcept {
  if (std::isnan(x)) return x;
  const float t = -std::fabs(x);                   // e^t is in [0, 1]
  if (t < -104.0F) return x > 0.0F ? 1.0F : 0.0F;  // and rounds to 0 here
  const float n = std::rint(t * 1.44269504F);      // e^t = 2^n e^r with |r| <= ln(2) / 2
  const float r = std::fma(n, -3.1946183e-5F, std::fma(n, -0.69311523F, t));
  float p = std::fma(r, 1.381388e-3F, 8.369063e-3F);  // e^r = 1 + r + r^2 p, fitted by least squares
  p = std::fma(r, p, 4.1668423e-2F);
  p = std::fma(r, p, 0.16666518F);
  p = std::fma(r, p, 0.49999994F);
  const float e_to_r = std::fma(r * r, p, r) + 1.0F;
  const int half = static_cast<int>(n) / 2;  // 2^n in two steps, so that only the second one rounds (a subnormal)
  const float e_to_t = e_to_r * detail::power_of_two(half) * detail::power_of_two(static_cast<int>(n) - half);
  return (x < 0.0F ? e_to_t : 1.0F) * detail::reciprocal(1.0F + e_to_t);
}

/// The `experts.size()` largest of `logits`, best first.
inline void top_k(std::span<const float> logits, std::span<ExpertId> experts) {
  if (experts.empty() || experts.size() > logits.size())
    throw invalid_argument("top_k: expected k from 1 to ", logits.size(), " (the number of experts), got ",
                           experts.size());
  if (logits.size() > static_cast<std::size_t>(kMaxExperts))
    throw invalid_argument("top_k: expected at most ", kMaxExperts, " experts, got ", logits.size());
  detail::BestExperts best(logits, experts);
  for (std::size_t e = 0; e < logits.size(); ++e) best.offer(e);
}

/// `top_k` of `scores` [experts], among the experts of the rule's best groups. The rule has been checked.
inline void top_k_of_groups(std::span<const float> scores, std::span<ExpertId> experts, const RouterRule& rule) {
  const std::size_t size = scores.size() / static_cast<std::size_t>(rule.groups);  // experts a group
  std::vector<float> group_scores;
  for (std::size_t first = 0; first < scores.size(); first += size) {
    std::vector<ExpertId> two(2);
    top_k(scores.subspan(first, size), two);
    group_scores.push_back(scores[first + two[0]] + scores[first + two[1]]);
  }
  std::vector<ExpertId> groups(static_cast<std::size_t>(rule.kept_groups));
  top_k(group_scores, groups);
  std::ranges::sort(groups);
  detail::BestExperts best(scores, experts);
  for (const ExpertId group : groups)
    for (std::size_t e = group * size; e < (group + 1) * size; ++e) best.offer(e);
}

/// True where `logits` has no softmax: a NaN, a +inf, or nothing but -inf.
[[nodiscard]] inline bool is_nonfinite(std::span<const float> logits) noexcept {
  bool any_finite = false;
  for (const float logit : logits) {
    if (std::isnan(logit) || logit == std::numeric_limits<float>::infinity()) return true;
    any_finite = any_finite || std::isfinite(logit);
  }
  return !any_finite;
}

/// The `weights` of the chosen `experts` of a finite row, in double precision and rounded once.
inline void weigh(std::span<const float> logits, std::span<const ExpertId> experts, std::span<float> weights,
                  const RouterRule& rule) {
  const double largest = logits[experts.front()];  // the experts of a softmax are chosen by logit
  const auto part = [&](float logit) {
    return rule.scoring == Scoring::sigmoid ? sigmoid(logit) : std::exp(static_cast<double>(logit) - largest);
  };
  double whole = 0.0;  // what the weights are parts of
  if (rule.renormalize || rule.scoring == Scoring::softmax_of_chosen)
    for (const ExpertId e : experts) whole += part(logits[e]);
  else if (rule.scoring == Scoring::softmax)
    for (const float logit : logits) whole += part(logit);
  else
    whole = 1.0;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    const double share = whole > 0.0 ? part(logits[experts[i]]) / whole : 1.0 / static_cast<double>(experts.size());
    weights[i] = static_cast<float>(share * static_cast<double>(rule.scale));
  }
}

/// Routes one row by `rule`: `experts` [k] best first, and their `weights` [k]. What decides between experts is
/// computed in fp32. `bias` [experts] belongs to sigmoid scoring; empty means none. Returns true where the row is not
/// finite (see above; a NaN in the bias counts).
inline bool route_row(std::span<const float> logits, std::span<ExpertId> experts, std::span<float> weights,
                      const RouterRule& rule = {}, std::span<const float> bias = {}) {
  const bool sigmoid_scores = rule.scoring == Scoring::sigmoid;
  rule.check(static_cast<int>(logits.size()), static_cast<int>(experts.size()));
  if (weights.size() != experts.size())
    throw invalid_argument("route_row: expected ", experts.size(), " weights, got ", weights.size());
  if (!bias.empty() && !sigmoid_scores) throw invalid_argument("route_row: expected a bias with sigmoid scoring only");
  if (!bias.empty() && bias.size() != logits.size())
    throw invalid_argument("route_row: expected a bias for each of ", logits.size(), " experts, got ", bias.size());

  bool nonfinite = is_nonfinite(logits);
  std::vector<float> of_sigmoid;
  if (sigmoid_scores) {
    for (std::size_t e = 0; e < logits.size(); ++e)
      of_sigmoid.push_back(sigmoid(logits[e]) + (bias.empty() ? 0.0F : bias[e]));
    nonfinite = nonfinite || std::ranges::any_of(of_sigmoid, [](float score) { return std::isnan(score); });
  }
  const std::span<const float> scores = sigmoid_scores ? of_sigmoid : logits;
  if (rule.groups > 1)
    top_k_of_groups(scores, experts, rule);
  else
    top_k(scores, experts);
  if (nonfinite)
    std::ranges::fill(weights, std::numeric_limits<float>::quiet_NaN());
  else
    weigh(logits, experts, weights, rule);
  return nonfinite;
}

}  // namespace routesig

#undef ROUTESIG_ON_BOTH
