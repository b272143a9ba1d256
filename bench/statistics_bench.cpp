// Statistics: 10,000 label permutations, and 2,000 bootstrap draws.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <span>
#include <vector>

#include "routesig/analysis.hpp"

namespace {

using namespace routesig;

std::vector<double> random_matrix(std::size_t n) {
  std::vector<double> m(n * n, 1.0);
  Random random(0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) m[i * n + j] = m[j * n + i] = random.uniform();
  return m;
}

std::vector<int> four_tasks(std::size_t n) {
  std::vector<int> task(n);
  for (std::size_t i = 0; i < n; ++i) task[i] = static_cast<int>(i % 4);
  return task;
}

void DealLabels(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const Labellings labellings(four_tasks(n));
  std::vector<Labellings::Lanes<std::uint8_t>> lanes(n);
  for (auto _ : state)
    for (std::size_t batch = 0; batch * Labellings::kLanes < labellings.size(); ++batch) {
      labellings.fill_lanes(batch, std::span(lanes));
      benchmark::DoNotOptimize(lanes.data());
    }
  state.SetItemsProcessed(state.iterations() * 10'000 * state.range(0));
}
BENCHMARK(DealLabels)->Arg(80)->Arg(400)->Arg(2000)->Unit(benchmark::kMillisecond);

void PermutationTest(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto m = random_matrix(n);
  const auto task = four_tasks(n);
  for (auto _ : state) benchmark::DoNotOptimize(permutation_test(m, task));
  state.SetItemsProcessed(state.iterations() * 10'000 * state.range(0) * (state.range(0) - 1) / 2);
}
BENCHMARK(PermutationTest)->Arg(80)->Arg(400)->Arg(2000)->Unit(benchmark::kMillisecond)->UseRealTime();

void BootstrapDraws(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto m = random_matrix(n);
  const auto task = four_tasks(n);
  for (auto _ : state) benchmark::DoNotOptimize(bootstrap(m, task));
  state.SetItemsProcessed(state.iterations() * 2'000 * state.range(0) * (state.range(0) - 1) / 2);
}
BENCHMARK(BootstrapDraws)->Arg(80)->Arg(400)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
