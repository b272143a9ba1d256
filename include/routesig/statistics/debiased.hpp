/// \file debiased.hpp
/// A cosine that does not depend on how many tokens were seen.
///
///     const auto rows = routesig::debiased_rows(traces);       // neighbours within 4 positions left out
///     const auto layers = routesig::debiased_layers(rows);     // [layers, prompts, prompts]
///     const auto means = routesig::debiased_means(rows, tasks);
///
/// The share of tokens that choose an expert is estimated without bias, its square is not: |c/T|^2 is too large by the
/// sampling noise, and so every cosine too small. The squared norm used here is the mean of |E_s & E_t| over pairs of
/// different tokens s and t, which has no such noise. Tokens close to each other repeat experts, which is noise too:
/// pairs within `window` positions are left out where the tokens are known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

namespace routesig {

/// With fewer tokens than this a squared norm is too noisy to divide by.
inline constexpr std::uint64_t kDebiasedTokens = 8;

struct DebiasedOptions {
  SignatureOptions which{};  ///< which tokens; the weighting plays no part
  int window = 4;            ///< pairs of tokens at most this many positions apart are left out
};

/// Signatures prepared for the debiased cosine.
struct DebiasedRows {
  std::size_t prompts = 0;
  std::size_t layers = 0;
  std::size_t experts = 0;
  std::vector<double> shares{};         ///< [prompts, layers, experts] share of tokens that choose the expert
  std::vector<double> squared_norms{};  ///< [prompts, layers]; 0 where there is no pair of tokens, may be negative
  std::vector<std::uint64_t> tokens{};  ///< [prompts, layers] tokens with known routing

  [[nodiscard]] bool known(std::size_t prompt, std::size_t layer) const noexcept {
    const std::size_t at = prompt * layers + layer;
    return tokens[at] >= kDebiasedTokens && squared_norms[at] > 0.0;
  }
  /// Why a prompt has no debiased similarity, for its first such layer; nothing where every layer has one.
  [[nodiscard]] std::optional<std::string> absence(std::size_t prompt) const {
    for (std::size_t l = 0; l < layers; ++l) {
      if (known(prompt, l)) continue;
      const std::size_t at = prompt * layers + l;
      if (tokens[at] < kDebiasedTokens)
        return sentence("expected at least ", kDebiasedTokens, " tokens, got ", tokens[at], " in layer ", l);
      return sentence("expected a squared norm above 0, got ", squared_norms[at], " in layer ", l,
                      " (no two distant tokens share an expert)");
    }
    return std::nullopt;
  }

  friend bool operator==(const DebiasedRows&, const DebiasedRows&) = default;
};

/// From the tokens themselves.
[[nodiscard]] DebiasedRows debiased_rows(std::span<const RoutingTrace> traces, const DebiasedOptions& options = {});

/// From counts [prompts, layers, experts] alone, window 0: (sum c^2 - T K) / (T (T - 1)) with T = sum c / K.
[[nodiscard]] DebiasedRows debiased_rows(std::span<const std::uint64_t> counts, std::size_t prompts, std::size_t layers,
                                         std::size_t experts, std::uint64_t top_k);

/// Debiased cosines of every prompt of `a` with every prompt of `b` (null: of `a`), [layers, a.prompts, b.prompts];
/// 0 where either is not known(). It may exceed 1. Of a prompt with itself it says nothing: 0 on the diagonal.
[[nodiscard]] std::vector<double> debiased_layers(const DebiasedRows& a, const DebiasedRows* b = nullptr);

/// Their mean over layers, [a.prompts, b.prompts], one layer in memory at a time.
[[nodiscard]] std::vector<double> debiased_matrix(const DebiasedRows& a, const DebiasedRows* b = nullptr);

/// Group means of one layer, or of all (the mean over layers, absent where a layer is).
struct DebiasedMeans {
  std::size_t within_pairs = 0;
  std::size_t across_pairs = 0;
  std::optional<double> within{};
  std::optional<double> across{};

  [[nodiscard]] std::optional<double> difference() const {
    return within && across ? std::optional(*within - *across) : std::nullopt;
  }
};

struct DebiasedSeparation {
  DebiasedMeans overall{};
  std::vector<DebiasedMeans> layers{};  ///< [layers]
};

/// Ratio of means over pairs: sum of inner products / sum of norm products, for pairs of one task (and of different
/// groups) and of two tasks. `task` is [prompts], negative where unlabelled; `group` [prompts] or empty.
[[nodiscard]] DebiasedSeparation debiased_means(const DebiasedRows& rows, std::span<const int> task,
                                                std::span<const int> group = {});

}  // namespace routesig
