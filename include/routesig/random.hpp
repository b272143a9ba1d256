/// \file random.hpp
/// Counter-based random numbers: draw i of stream s under seed k is a pure function of (k, s, i), so that work may be
/// split over any number of threads and still give the same numbers. Philox4x32-10 (Salmon et al., SC 2011).
///
///     routesig::Random random(/*seed=*/0, /*stream=*/7);
///     const double u = random.uniform();               // [0, 1)
///     const std::uint32_t card = random.below(52);     // 0 ... 51, unbiased
///
/// Integers and uniforms are the same on every platform; normals are as exact as the platform's log and cos.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <utility>

namespace routesig {

/// The Philox4x32 bijection with ten rounds.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                            std::array<std::uint32_t, 2> key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD251'1F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E'8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32U) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32U) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E37'79B9U;
    key[1] += 0xBB67'AE85U;
  }
  return counter;
}

/// What random numbers are drawn for: keeps the streams of different procedures under one seed apart.
enum class Draws : std::uint16_t {
  plain,
  label_permutation,
  bootstrap,
  dispersion,
  permutation_baseline,
  load_balance,
  marginal,
  token_pool,
  token_shuffle,
  rotation,
  folds,
  classifier,
  information,
  mantel,
};

/// The stream of repetition `index` of a procedure.
[[nodiscard]] constexpr std::uint64_t stream(Draws purpose, std::uint64_t index) noexcept {
  return (static_cast<std::uint64_t>(purpose) << 48U) | index;
}

/// One stream of random numbers. Meets std::uniform_random_bit_generator, but prefer the members: the standard's
/// distributions differ between standard libraries.
class Random {
 public:
  using result_type = std::uint32_t;

  explicit constexpr Random(std::uint64_t seed, std::uint64_t stream = 0) noexcept
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)}, stream_(stream) {}

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

  constexpr result_type operator()() noexcept {
    if (used_ == 4) {
      block_ = philox({static_cast<std::uint32_t>(counter_), static_cast<std::uint32_t>(counter_ >> 32U),
                       static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32U)},
                      key_);
      ++counter_;
      used_ = 0;
    }
    return block_[used_++];
  }

  /// 53 random bits in [0, 1).
  constexpr double uniform() noexcept {
    const std::uint64_t high = (*this)();
    const std::uint64_t low = (*this)();
    return static_cast<double>(((high << 32U) | low) >> 11U) * 0x1.0p-53;
  }

  /// Uniform on 0 ... n - 1, without bias (Lemire, ACM TOMACS 2019). n = 0 gives 0.
  constexpr std::uint32_t below(std::uint32_t n) noexcept {
    std::uint64_t product = std::uint64_t{(*this)()} * n;
    if (static_cast<std::uint32_t>(product) < n) {
      const std::uint32_t threshold = (0U - n) % n;
      while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{(*this)()} * n;
    }
    return static_cast<std::uint32_t>(product >> 32U);
  }

  /// Standard normal (Box and Muller, one of the pair).
  double normal() noexcept {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

  /// Uniform random order (Fisher and Yates). At most 2^32 - 1 items.
  template <typename T>
  constexpr void shuffle(std::span<T> items) noexcept {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(static_cast<std::uint32_t>(i))]);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
  std::uint64_t counter_ = 0;
  std::array<std::uint32_t, 4> block_{};
  std::size_t used_ = 4;
};

}  // namespace routesig
