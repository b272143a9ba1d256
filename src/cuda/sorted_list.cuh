// Descending lists of keys in registers. Sizes are powers of two and known at compile time; every loop is unrolled, so
// that no index is left and no list goes to memory.
#pragma once

namespace routesig::cuda {

template <typename Key>
__device__ Key larger(Key a, Key b) {
  return a > b ? a : b;
}

template <typename Key>
__device__ void put_larger_first(Key& a, Key& b) {
  const Key first = larger(a, b);
  b = a > b ? b : a;
  a = first;
}

// Sorts a bitonic list (falling, then rising, or a rotation of such).
template <int size, typename Key>
__device__ void sort_bitonic(Key (&list)[size]) {
#pragma unroll
  for (int stride = size / 2; stride >= 1; stride /= 2)
#pragma unroll
    for (int i = 0; i < size; ++i)
      if ((i & stride) == 0) put_larger_first(list[i], list[i + stride]);
}

// Sorts a short list (of at most 8, which a compiler unrolls whole): Batcher's odd-even merge sort, 19 comparisons
// for 8.
template <int size, typename Key>
__device__ void sort(Key (&list)[size]) {
  static_assert(size <= 8);
#pragma unroll
  for (int run = 1; run < size; run *= 2)
#pragma unroll
    for (int stride = run; stride >= 1; stride /= 2)
#pragma unroll
      for (int i = 0; i + stride < size; ++i) {
        const bool compared = i >= stride % run && (i - stride % run) / stride % 2 == 0;
        if (compared && i / (2 * run) == (i + stride) / (2 * run)) put_larger_first(list[i], list[i + stride]);
      }
}

// The best `size` of a list and a run, both descending. Where both are equally long, the larger of the list's first and
// the run's last, of second and last but one, ... are the best of both, and bitonic; a shorter run ends in zeros.
template <int size, int run_size, typename Key>
__device__ void merge(Key (&list)[size], const Key (&run)[run_size]) {
  static_assert(run_size <= size);
#pragma unroll
  for (int i = 0; i < run_size; ++i) list[size - 1 - i] = larger(list[size - 1 - i], run[i]);
  sort_bitonic(list);
}

// Merges the lists of `lanes` neighbouring lanes, a butterfly: afterwards each of them has the best of all. Long lists
// stay in a loop over the distances, which names no index of theirs: a fifth of the code.
template <int lanes, int size, typename Key>
__device__ void merge_lanes(Key (&list)[size]) {
  [[maybe_unused]] constexpr int kUnrolled = size <= 16 ? lanes : 1;
#pragma unroll(kUnrolled)
  for (int distance = 1; distance < lanes; distance *= 2) {
#pragma unroll
    for (int i = 0; i < size / 2; ++i) {
      const Key theirs = __shfl_xor_sync(0xFFFF'FFFFU, list[i], distance, lanes);
      const Key opposite = __shfl_xor_sync(0xFFFF'FFFFU, list[size - 1 - i], distance, lanes);
      list[i] = larger(list[i], opposite);
      list[size - 1 - i] = larger(list[size - 1 - i], theirs);
    }
    sort_bitonic(list);
  }
}

}  // namespace routesig::cuda
