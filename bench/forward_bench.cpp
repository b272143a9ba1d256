// The model on random weights: prefill of packed prompts, prompts one by one, decoding in a batch, and what recording
// adds. Shape "tiny" is the shipped model's; "quarter" has a quarter of OLMoE-1B-7B's width and two layers.
//   cmake -S . -B build/bench -DROUTESIG_BUILD_BENCH=ON -DROUTESIG_TORCH=ON && cmake --build build/bench --target
//   forward_bench build/bench/bench/forward_bench --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"
#include "routesig/model/olmoe.hpp"
#include "routesig/random.hpp"
#include "routesig/trace.hpp"
#include "support/scratch_folder.hpp"

namespace {

using namespace routesig;

OlmoeConfig shape(const std::string& name) {
  OlmoeConfig config;
  config.vocab_size = 4096;
  config.num_experts = 64;
  config.num_experts_per_tok = 8;
  config.max_position_embeddings = 512;
  const bool tiny = name == "tiny";
  config.hidden_size = tiny ? 96 : 512;
  config.intermediate_size = tiny ? 8 : 256;
  config.num_hidden_layers = tiny ? 16 : 2;
  config.num_attention_heads = config.num_key_value_heads = tiny ? 6 : 8;
  config.head_dim = config.hidden_size / config.num_attention_heads;
  return config;
}

const OlmoeModel& model(const std::string& name) {
  static std::map<std::string, OlmoeModel> models;
  const auto found = models.find(name);
  if (found != models.end()) return found->second;
  const testing::ScratchFolder folder;
  testing::write_config(folder.path(), shape(name));
  return models.emplace(name, OlmoeModel::load(folder.path(), {.random_weights = 0})).first->second;
}

std::vector<TokenIds> prompts(std::size_t count, std::size_t tokens) {
  Random random(1);
  std::vector<TokenIds> all(count, TokenIds(tokens));
  for (TokenIds& ids : all)
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random.below(4096));
  return all;
}

void count_tokens(benchmark::State& state, std::size_t a_round) {
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(a_round), benchmark::Counter::kIsIterationInvariantRate);
}

void prefill_packed(benchmark::State& state, const std::string& name) {
  const auto all = prompts(40, 40);
  const OlmoeModel& loaded = model(name);
  for (auto _ : state) benchmark::DoNotOptimize(loaded.forward(all));
  count_tokens(state, 40 * 40);
}

void prefill_one_by_one(benchmark::State& state, const std::string& name) {
  const auto all = prompts(40, 40);
  const OlmoeModel& loaded = model(name);
  for (auto _ : state)
    for (const TokenIds& ids : all) benchmark::DoNotOptimize(loaded.forward(std::span(&ids, 1)));
  count_tokens(state, 40 * 40);
}

void decode(benchmark::State& state, const std::string& name, std::size_t batch, bool recorded) {
  const auto all = prompts(batch, 15);
  const OlmoeModel& loaded = model(name);
  for (auto _ : state) {
    TraceRecorder recorder;
    benchmark::DoNotOptimize(
        loaded.generate(all, {.max_new_tokens = 32, .ignore_eos = true}, recorded ? &recorder : nullptr));
  }
  count_tokens(state, batch * (15 + 31));
}

BENCHMARK_CAPTURE(prefill_packed, tiny, "tiny")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(prefill_one_by_one, tiny, "tiny")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(prefill_packed, quarter, "quarter")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(prefill_one_by_one, quarter, "quarter")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode, tiny_1, "tiny", 1, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode, tiny_80, "tiny", 80, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode, tiny_80_recorded, "tiny", 80, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode, quarter_1, "quarter", 1, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode, quarter_32, "quarter", 32, false)->Unit(benchmark::kMillisecond);

}  // namespace
