#include "routesig/model/olmoe.hpp"

#include <ATen/ops/from_blob.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "device_router.hpp"
#include "generation.hpp"
#include "prefill.hpp"
#include "run.hpp"
#include "weights.hpp"

namespace routesig {
namespace {

// Calls `body`; what LibTorch throws leaves as a std::runtime_error without its backtrace, since no type of its may
// cross our border.
template <typename Body>
auto guarded(const char* what, const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const c10::Error& error) {
    throw std::runtime_error(sentence(what, ": ", error.what_without_backtrace()));
  }
}

bool has_gpu() {
  return c10::impl::hasDeviceGuardImpl(c10::DeviceType::CUDA) &&
         c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA)->deviceCount() > 0;
}

at::Device device_called(const std::string& name) {
  if (name == "cpu" || (name == "auto" && !has_gpu())) return at::kCPU;
  if (name == "auto") return {at::kCUDA, 0};
  const bool numbered = name.starts_with("cuda:") && name.size() > 5 && name.size() < 8 &&
                        name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "cuda" && !numbered)
    throw invalid_argument("load: expected device auto, cpu, cuda or cuda:N, got ", shown(name));
  if (!has_gpu()) throw invalid_argument("load: device ", name, " was asked for, but LibTorch finds no GPU; use cpu");
  const int index = numbered ? std::stoi(name.substr(5)) : 0;
  const int count =
      int{static_cast<unsigned char>(c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA)->deviceCount())};
  if (index >= count) throw invalid_argument("load: device ", name, " was asked for, but there are ", count, " GPUs");
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

at::ScalarType dtype_called(const std::string& name, const OlmoeConfig& config) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name != "auto") throw invalid_argument("load: expected dtype auto, float32 or bfloat16, got ", shown(name));
  return config.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

RoutingInfo routing_info(const OlmoeConfig& config, const std::filesystem::path& folder, const LoadOptions& options,
                         at::ScalarType dtype) {
  RoutingInfo info = config.routing();
  info.model_name = options.name;
  if (info.model_name.empty()) {
    const std::filesystem::path whole = std::filesystem::weakly_canonical(folder);
    info.model_name = whole.filename().string();
    if (options.random_weights) info.model_name += sentence(" (random weights, seed ", *options.random_weights, ')');
  }
  info.model_sha256 = options.sha256;
  info.model_dtype = dtype == at::kBFloat16 ? "bfloat16" : "float32";
  info.tokenizer_sha256 = options.tokenizer_sha256;
  return info;
}

void check_options(const GenerateOptions& options, std::size_t prompts) {
  if (options.max_new_tokens < 0)
    throw invalid_argument("generate: expected max_new_tokens of 0 or more, got ", options.max_new_tokens);
  if (!std::isfinite(options.temperature) || options.temperature < 0.0)
    throw invalid_argument("generate: expected a temperature of 0 or more, got ", options.temperature);
  if (!options.streams.empty() && options.streams.size() != prompts)
    throw invalid_argument("generate: expected ", prompts, " random streams (one per prompt), got ",
                           options.streams.size());
}

}  // namespace

struct OlmoeModel::Impl {
  OlmoeConfig config;
  RoutingInfo info;
  olmoe::Weights weights;
  std::string device;
};

OlmoeModel::OlmoeModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OlmoeModel::OlmoeModel(OlmoeModel&&) noexcept = default;
OlmoeModel& OlmoeModel::operator=(OlmoeModel&&) noexcept = default;
OlmoeModel::~OlmoeModel() = default;

OlmoeModel OlmoeModel::load(const std::filesystem::path& folder, const LoadOptions& options) {
  return guarded("load", [&] {
    const c10::InferenceMode no_gradients;
    OlmoeConfig config = read_olmoe_config(folder);
    const olmoe::ThreadCount threads(config);
    const at::Device device = device_called(options.device);
    const at::ScalarType dtype = dtype_called(options.dtype, config);
    RoutingInfo info = routing_info(config, folder, options, dtype);
    olmoe::Weights weights = options.random_weights
                                 ? olmoe::draw_weights(*options.random_weights, config, dtype, device)
                                 : olmoe::read_weights(folder, config, dtype, device);
    weights.route_on_device = !device.is_cpu() && olmoe::routes_on_device(config, device);
    return OlmoeModel(
        std::make_unique<Impl>(Impl{std::move(config), std::move(info), std::move(weights), device.str()}));
  });
}

const OlmoeConfig& OlmoeModel::config() const noexcept { return impl_->config; }
const RoutingInfo& OlmoeModel::info() const noexcept { return impl_->info; }
const std::string& OlmoeModel::device() const noexcept { return impl_->device; }

std::vector<std::vector<float>> OlmoeModel::forward(std::span<const TokenIds> token_ids, RoutingRecorder* recorder,
                                                    const RunOptions& options) const {
  return guarded("forward", [&] {
    const auto& [config, info, weights, device] = *impl_;
    olmoe::check_prompts("forward", token_ids, 0, config);
    const olmoe::Run run("forward", token_ids, recorder, options, config, info);
    std::vector<std::vector<float>> logits(token_ids.size());
    const std::int64_t vocab = config.vocab_size;

    run.begin();
    olmoe::prefill(config, weights, token_ids, run, nullptr, /*hidden_wanted=*/true,
                   [&](std::size_t begin, std::size_t end, const olmoe::Step& step, const at::Tensor& hidden) {
                     for (std::size_t i = begin; i < end; ++i) {
                       const olmoe::Segment& segment = step.segments[i - begin];
                       logits[i].resize(static_cast<std::size_t>(segment.length * vocab));
                       at::from_blob(logits[i].data(), {segment.length, vocab}, at::kFloat)
                           .copy_(apply_head(config, weights, hidden.narrow(0, segment.first_row, segment.length)));
                       run.end_sequence(i);
                     }
                   });
    run.end();
    return logits;
  });
}

std::vector<TokenIds> OlmoeModel::generate(std::span<const TokenIds> prompts, const GenerateOptions& options,
                                           RoutingRecorder* recorder, const RunOptions& run_options) const {
  return guarded("generate", [&] {
    check_options(options, prompts.size());
    olmoe::check_prompts("generate", prompts, options.max_new_tokens, impl_->config);
    RunOptions whole = run_options;  // every token of a prompt is prompt here, whatever the caller's sequences say
    for (std::size_t i = 0; i < std::min(whole.sequences.size(), prompts.size()); ++i)
      whole.sequences[i].prompt_tokens = static_cast<int>(prompts[i].size());
    const olmoe::Run run("generate", prompts, recorder, whole, impl_->config, impl_->info);

    run.begin();
    std::vector<TokenIds> new_ids = olmoe::generate(impl_->config, impl_->weights, prompts, options, run);
    run.end();
    return new_ids;
  });
}

RotatedRouters OlmoeModel::rotated_routers(int count, std::uint64_t seed) const {
  if (count < 1) throw invalid_argument("rotated_routers: expected a count of 1 or more, got ", count);
  return guarded("rotated_routers", [&] {
    const c10::InferenceMode no_gradients;
    const auto routers = static_cast<std::size_t>(count);
    return RotatedRouters(std::make_shared<const RotatedRouters::Impl>(
        RotatedRouters::Impl{.count = routers,
                             .seed = seed,
                             .info = impl_->info,
                             .weights = olmoe::rotate_routers(impl_->weights, routers, seed)}));
  });
}

void OlmoeModel::replay(std::span<const TokenIds> token_ids, RoutingRecorder& recorder,
                        const RunOptions& options) const {
  return guarded("replay", [&] {
    olmoe::check_prompts("replay", token_ids, 0, impl_->config);
    const olmoe::Run run("replay", token_ids, &recorder, options, impl_->config, impl_->info);

    run.begin();
    olmoe::prefill(impl_->config, impl_->weights, token_ids, run, nullptr, /*hidden_wanted=*/false,
                   [&](std::size_t begin, std::size_t end, const olmoe::Step&, const at::Tensor&) {
                     for (std::size_t i = begin; i < end; ++i) run.end_sequence(i);
                   });
    run.end();
  });
}

}  // namespace routesig
