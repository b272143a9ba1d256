/// \file cka.hpp
/// Do two models arrange the same prompts alike? Linear centred kernel alignment, without the bias of few prompts.
///
///     const auto k = routesig::linear_kernel(x, prompts), l = routesig::linear_kernel(y, prompts);
///     if (const auto alignment = routesig::unbiased_cka(k, l, prompts)) use(*alignment);   // about 0 where unrelated
///
/// CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) [Kornblith et al., ICML 2019] with the unbiased HSIC [Song et al.,
/// JMLR 2012, eq. 5]: the plain one approaches 1 for any two matrices of more features than prompts.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace routesig {

/// The unbiased HSIC is defined for this many prompts and more.
inline constexpr std::size_t kFewestAligned = 4;

/// Inner products of the rows of `values` [n, features]: [n, n].
[[nodiscard]] std::vector<double> linear_kernel(std::span<const double> values, std::size_t n);

/// (1 / (n (n - 3))) [tr KL + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1], diagonals taken as 0. `k` and `l` are
/// symmetric [n, n], n >= 4.
[[nodiscard]] double unbiased_hsic(std::span<const double> k, std::span<const double> l, std::size_t n);

/// At most 1, and below 0 by chance where the two are unrelated. Absent for fewer than four prompts, and where the
/// prompts of either kernel do not differ.
[[nodiscard]] std::optional<double> unbiased_cka(std::span<const double> k, std::span<const double> l, std::size_t n);

}  // namespace routesig
