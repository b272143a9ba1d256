// Trace JSONL against its peers on the same traces: nlohmann/json (a tree, dumped and parsed) and simdjson (a bare walk
// that touches every number and checks nothing else; left out where CMake did not find it).
//   cmake -S . -B build/bench -DROUTESIG_BUILD_BENCH=ON && cmake --build build/bench --target jsonl_bench
//   build/bench/bench/jsonl_bench --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
#include <benchmark/benchmark.h>
#include <unistd.h>

#ifdef ROUTESIG_BENCH_SIMDJSON
#include <simdjson.h>
#endif

#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "routesig/io/file.hpp"
#include "routesig/io/jsonl.hpp"
#include "routesig/random.hpp"

namespace {

using namespace routesig;

constexpr int kPrompts = 40;
constexpr int kTokens = 250;

/// The shape of OLMoE-1B-7B: 16 layers, 64 experts, top-8; weights as a softmax over 64 gives them.
TraceSet make_traces(bool weights) {
  const auto info = std::make_shared<const RoutingInfo>(RoutingInfo{.layers = 16, .experts = 64, .top_k = 8});
  Random random(1);
  std::vector<ExpertId> all(64);
  std::iota(all.begin(), all.end(), ExpertId{0});
  std::vector<RoutingTrace> traces;
  for (int p = 0; p < kPrompts; ++p) {
    TraceColumns c;
    for (int t = 0; t < kTokens; ++t) {
      c.positions.push_back(t);
      c.token_ids.push_back(static_cast<std::int32_t>(random.uniform() * 50'304));
      c.types.push_back(t < 15 ? TokenType::prompt : TokenType::generation);
      for (int layer = 0; layer < 16; ++layer) {
        random.shuffle(std::span(all));
        c.experts.insert(c.experts.end(), all.begin(), all.begin() + 8);
        for (int i = 0; weights && i < 8; ++i)
          c.weights.push_back(0.3F * static_cast<float>(random.uniform()) / static_cast<float>(i + 1));
      }
    }
    traces.emplace_back(info, SequenceInfo{.id = sentence("code-", p), .task = "code", .prompt_tokens = 15},
                        std::move(c));
  }
  return TraceSet(std::move(traces));
}

const TraceSet& traces(bool weights) {
  static const TraceSet with = make_traces(true), without = make_traces(false);
  return weights ? with : without;
}

std::filesystem::path scratch() {
  return std::filesystem::temp_directory_path() / sentence("routesig-bench-", ::getpid(), ".jsonl");
}

/// The bytes of the file, made once.
const std::string& file_bytes(bool weights) {
  static const auto make = [](bool with) {
    save_jsonl(traces(with), scratch());
    std::string bytes = read_text(scratch());
    std::filesystem::remove(scratch());
    return bytes;
  };
  static const std::string with = make(true), without = make(false);
  return weights ? with : without;
}

void set_bytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

/// Feeds the recorder one token a step, as decoding does; every byte reaches the operating system.
void record(RoutingRecorder& recorder, const TraceSet& set, bool weights) {
  recorder.begin(set[0].info());
  for (int s = 0; const RoutingTrace& trace : set) {
    recorder.begin_sequence(s, trace.sequence());
    const TraceColumns& c = trace.columns();
    for (std::size_t t = 0; t < c.positions.size(); ++t) {
      const std::int32_t sequence = s;
      recorder.step({.sequence = {&sequence, 1},
                     .position = {&c.positions[t], 1},
                     .token = {&c.token_ids[t], 1},
                     .type = {&c.types[t], 1}});
      for (int layer = 0; layer < trace.layers(); ++layer) {
        const auto at = static_cast<int>(t);
        LayerRouting routing{.layer = layer, .experts = trace.experts(layer, at)};
        if (weights) routing.weights = trace.weights(layer, at);
        recorder.layer(routing);
      }
    }
    recorder.end_sequence(s++);
  }
  recorder.end();
}

/// No sync: the disk is not what is measured.
void write_routesig(benchmark::State& state) {
  const bool weights = state.range(0) != 0;
  const TraceSet& set = traces(weights);
  for (auto _ : state) {
    JsonlRecorder recorder(scratch(), {.weights = weights});
    record(recorder, set, weights);
  }
  std::filesystem::remove(scratch().string() + ".partial");
  set_bytes(state, file_bytes(weights).size());
}

nlohmann::ordered_json token_tree(const RoutingTrace& trace, int token) {
  const TraceColumns& c = trace.columns();
  const auto t = static_cast<std::size_t>(token);
  nlohmann::ordered_json line{{"kind", "token"},
                              {"prompt", trace.sequence().id},
                              {"position", c.positions[t]},
                              {"type", name(c.types[t])},
                              {"token", c.token_ids[t]}};
  auto& experts = line["experts"] = nlohmann::ordered_json::array();
  for (int layer = 0; layer < trace.layers(); ++layer) {
    const auto row = trace.experts(layer, token);
    experts.push_back(std::vector<ExpertId>(row.begin(), row.end()));
  }
  if (c.weights.empty()) return line;
  auto& weights = line["weights"] = nlohmann::ordered_json::array();
  for (int layer = 0; layer < trace.layers(); ++layer) {
    const auto row = trace.weights(layer, token);
    weights.push_back(std::vector<float>(row.begin(), row.end()));
  }
  return line;
}

void write_nlohmann(benchmark::State& state) {
  const bool weights = state.range(0) != 0;
  const TraceSet& set = traces(weights);
  for (auto _ : state) {
    OutputFile out(scratch());
    for (const RoutingTrace& trace : set)
      for (int token = 0; token < trace.tokens(); ++token) {
        out.write(token_tree(trace, token).dump());
        out.write("\n");
      }
    out.discard();
  }
  set_bytes(state, file_bytes(weights).size());  // of our file: the same content
}

void read_routesig(benchmark::State& state) {
  const std::string& bytes = file_bytes(state.range(0) != 0);
  for (auto _ : state) benchmark::DoNotOptimize(parse_jsonl(bytes, "bench").size());
  set_bytes(state, bytes.size());
}

/// Every line as a tree, expert ids and weights taken from it.
void read_nlohmann(benchmark::State& state) {
  const std::string& bytes = file_bytes(state.range(0) != 0);
  for (auto _ : state) {
    double sum = 0;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t end = bytes.find('\n', at);
      const auto line = nlohmann::json::parse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                              bytes.begin() + static_cast<std::ptrdiff_t>(end));
      for (const char* key : {"experts", "weights"})
        if (const auto found = line.find(key); found != line.end())
          for (const auto& row : *found)
            for (const auto& value : row) sum += value.get<double>();
      at = end + 1;
    }
    benchmark::DoNotOptimize(sum);
  }
  set_bytes(state, bytes.size());
}

#ifdef ROUTESIG_BENCH_SIMDJSON
void walk_simdjson(benchmark::State& state) {
  const simdjson::padded_string bytes(file_bytes(state.range(0) != 0));
  simdjson::ondemand::parser parser;
  for (auto _ : state) {
    double sum = 0;
    simdjson::ondemand::document_stream stream = parser.iterate_many(bytes);
    for (auto document : stream) {
      simdjson::ondemand::object line = document.get_object();
      for (auto field : line) {
        const std::string_view key = field.unescaped_key();
        simdjson::ondemand::value value = field.value();
        if (key == "experts") {
          for (auto row : value.get_array())
            for (auto id : row.get_array()) sum += static_cast<double>(id.get_uint64().value());
        } else if (key == "weights") {
          for (auto row : value.get_array())
            for (auto weight : row.get_array()) sum += weight.get_double().value();
        } else if (key == "position" || key == "token") {
          sum += static_cast<double>(value.get_int64().value());
        }
      }
    }
    benchmark::DoNotOptimize(sum);
  }
  set_bytes(state, bytes.size());
}
BENCHMARK(walk_simdjson)->ArgName("weights")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
#endif

BENCHMARK(write_routesig)->ArgName("weights")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(write_nlohmann)->ArgName("weights")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(read_routesig)->ArgName("weights")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(read_nlohmann)->ArgName("weights")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
