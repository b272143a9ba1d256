#include "classify/row_products.hpp"

#include <array>
#include <utility>

namespace routesig {
namespace detail {
namespace {

// A lambda that stays a function would keep its registers in memory.
#define ROUTESIG_INLINE __attribute__((always_inline))

template <std::size_t... I, typename Body>
[[gnu::always_inline]] inline void unrolled(std::index_sequence<I...>, const Body& body) {
  (body(I), ...);
}

template <std::size_t N, typename Body>
[[gnu::always_inline]] inline void unrolled(const Body& body) {
  unrolled(std::make_index_sequence<N>(), body);
}

/// out[t] += sum over s < steps of a[t * across + s * along] * b[s * width], for t < N; every b and out is `Registers`
/// registers of `Lanes` numbers, `out` rows lie `width` apart.
template <std::size_t N, std::size_t Lanes, std::size_t Registers>
void add_tile(const double* a, std::size_t across, std::size_t along, const double* b, std::size_t steps,
              std::size_t width, double* out) {
  using Register = Eigen::Array<double, static_cast<int>(Lanes), 1>;
  std::array<std::array<Register, Registers>, N> sums;
  unrolled<N>([&](std::size_t t) ROUTESIG_INLINE {
    unrolled<Registers>([&](std::size_t r)
                            ROUTESIG_INLINE { sums[t][r] = Eigen::Map<const Register>(out + t * width + r * Lanes); });
  });
  for (std::size_t s = 0; s < steps; ++s) {
    std::array<Register, Registers> row;
    unrolled<Registers>([&](std::size_t r)
                            ROUTESIG_INLINE { row[r] = Eigen::Map<const Register>(b + s * width + r * Lanes); });
    unrolled<N>([&](std::size_t t) ROUTESIG_INLINE {
      const double factor = a[t * across + s * along];
      unrolled<Registers>([&](std::size_t r) ROUTESIG_INLINE { sums[t][r] += factor * row[r]; });
    });
  }
  unrolled<N>([&](std::size_t t) ROUTESIG_INLINE {
    unrolled<Registers>([&](std::size_t r)
                            ROUTESIG_INLINE { Eigen::Map<Register>(out + t * width + r * Lanes) = sums[t][r]; });
  });
}

#undef ROUTESIG_INLINE

/// add_tile for any number of out rows and any width.
template <std::size_t Lanes, std::size_t Registers>
void add_column_of_tiles(const double* a, std::size_t across, std::size_t along, const double* b, std::size_t steps,
                         std::size_t width, double* out, std::size_t count) {
  std::size_t t = 0;
  for (; t + kDotTile <= count; t += kDotTile)
    add_tile<kDotTile, Lanes, Registers>(a + t * across, across, along, b, steps, width, out + t * width);
  for (; t < count; ++t) add_tile<1, Lanes, Registers>(a + t * across, across, along, b, steps, width, out + t * width);
}

void add_tiles(const double* a, std::size_t across, std::size_t along, const double* b, std::size_t steps,
               std::size_t width, double* out, std::size_t count) {
  std::size_t k = 0;
  for (; k + 2 * kDotLanes <= width; k += 2 * kDotLanes)
    add_column_of_tiles<kDotLanes, 2>(a, across, along, b + k, steps, width, out + k, count);
  for (; k + 8 <= width; k += 8) add_column_of_tiles<4, 2>(a, across, along, b + k, steps, width, out + k, count);
  if (k < width) add_column_of_tiles<4, 1>(a, across, along, b + k, steps, width, out + k, count);
}

}  // namespace

void row_dots(const Features& x, std::size_t first, std::size_t count, const SideBySide& weights, SideBySide& out) {
  out.values.topRows(static_cast<Eigen::Index>(count)).setZero();
  add_tiles(x.values.data() + first * x.columns, x.columns, 1, weights.row(0), x.columns, weights.width(), out.row(0),
            count);
}

void add_rows(const Features& x, std::size_t first, std::size_t count, const SideBySide& factors, SideBySide& sums) {
  add_tiles(x.values.data() + first * x.columns, 1, x.columns, factors.row(0), count, factors.width(), sums.row(0),
            x.columns);
}

}  // namespace detail
}  // namespace routesig
