#include "topk_router.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/TensorAccessor.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <vector>

#include "routesig/parallel.hpp"

#if ROUTESIG_HAS_CUDA_KERNEL
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "kernel_call.hpp"
#endif

namespace routesig {
namespace {

constexpr std::size_t kRowsAPiece = 64;

// A size that must be known where the call is traced: the kernel is chosen by it.
std::int64_t known(const c10::SymInt& size) { return size.guard_int(__FILE__, __LINE__); }

std::int64_t experts_of(const RouterCall& call) { return known(call.logits.sym_size(1)); }

void check_bias(const RouterCall& call, std::int64_t experts) {
  if (!call.bias) return;
  const at::Tensor& bias = *call.bias;
  TORCH_CHECK_VALUE(call.rule.scoring == Scoring::sigmoid, "topk_router: expected a bias with sigmoid scoring only");
  TORCH_CHECK_VALUE(bias.dim() == 1 && known(bias.sym_size(0)) == experts, "topk_router: expected a bias of shape [",
                    experts, "] (one value an expert), got ", bias.sym_sizes());
  TORCH_CHECK_VALUE(bias.scalar_type() == at::kFloat, "topk_router: expected a bias of float32, got ",
                    bias.scalar_type());
  TORCH_CHECK_VALUE(bias.device() == call.logits.device(), "topk_router: expected the bias on ", call.logits.device(),
                    " (where the logits are), got ", bias.device());
}

template <typename Logit>
void route_rows(const RouterCall& call, const RouterTensors& out) {
  const auto logits = call.logits.accessor<const Logit, 2>();
  const std::size_t rows = static_cast<std::size_t>(logits.size(0)), experts = static_cast<std::size_t>(logits.size(1));
  const auto k = static_cast<std::size_t>(call.top_k);
  const at::Tensor dense_bias = call.bias ? call.bias->contiguous() : at::Tensor();
  const std::span<const float> bias =
      call.bias ? std::span(dense_bias.const_data_ptr<float>(), experts) : std::span<const float>();
  const std::span weights(out.weights.mutable_data_ptr<float>(), rows * k);
  std::int64_t* const ids = out.ids.mutable_data_ptr<std::int64_t>();
  std::uint8_t* const nonfinite = out.nonfinite.defined() ? out.nonfinite.mutable_data_ptr<std::uint8_t>() : nullptr;

  parallel_for(rows, kRowsAPiece, [&](std::size_t begin, std::size_t end) {
    std::vector<float> of_row(experts);
    std::vector<ExpertId> chosen(k);
    for (std::size_t row = begin; row < end; ++row) {
      const auto given = logits[static_cast<std::int64_t>(row)];
      for (std::size_t e = 0; e < experts; ++e) of_row[e] = static_cast<float>(given[static_cast<std::int64_t>(e)]);
      const bool lost = route_row(of_row, chosen, weights.subspan(row * k, k), call.rule, bias);
      std::ranges::copy(chosen, ids + row * k);
      if (nonfinite != nullptr) nonfinite[row] = lost ? 1 : 0;
    }
  });
}

void route_on_cpu(const RouterCall& call, const RouterTensors& out) {
  switch (call.logits.scalar_type()) {
    case at::kHalf:
      route_rows<at::Half>(call, out);
      break;
    case at::kBFloat16:
      route_rows<at::BFloat16>(call, out);
      break;
    default:
      route_rows<float>(call, out);
  }
  if (out.counts.defined()) {
    auto counts = out.counts.accessor<std::int64_t, 1>();
    for (const std::int64_t id :
         std::span(out.ids.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(out.ids.numel())))
      ++counts[id];
  }
  if (out.trace.defined()) out.trace.copy_(out.ids);
}

#if ROUTESIG_HAS_CUDA_KERNEL
void route_on_cuda(const RouterCall& call, const RouterTensors& out) {
  const at::Device device = call.logits.device();
  const c10::DeviceGuard guard(device);
  const KernelCall kernel(call, out);
  cuda::topk(kernel.told(), c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle());
  kernel.put_back();
}
#else
void route_on_cuda(const RouterCall&, const RouterTensors&) {
  TORCH_CHECK_NOT_IMPLEMENTED(false,
                              "topk_router: this build of routesig has no CUDA kernel; build it where nvcc is found "
                              "(ROUTESIG_CUDA=ON), or move the logits to the CPU");
}
#endif

}  // namespace

bool has_router_kernel(at::Device device) {
  return device.is_cpu() || (device.is_cuda() && ROUTESIG_HAS_CUDA_KERNEL != 0);
}

Scoring scoring_called(std::string_view name) {
  if (name == "softmax") return Scoring::softmax;
  if (name == "topk_softmax") return Scoring::softmax_of_chosen;
  TORCH_CHECK_VALUE(name == "sigmoid",
                    "topk_router: expected scoring to be one of softmax, topk_softmax, sigmoid, got ", name);
  return Scoring::sigmoid;
}

void check_call(const RouterCall& call) {
  TORCH_CHECK_VALUE(call.logits.dim() == 2, "topk_router: expected logits [tokens, experts], got ", call.logits.dim(),
                    " dimensions");
  const at::ScalarType dtype = call.logits.scalar_type();
  TORCH_CHECK_VALUE(dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16,
                    "topk_router: expected logits of float32, float16 or bfloat16, got ", call.logits.scalar_type());
  const std::int64_t experts = experts_of(call);
  TORCH_CHECK_VALUE(experts >= 1 && experts <= cuda::kMaxTopkExperts, "topk_router: expected 1 to ",
                    cuda::kMaxTopkExperts, " experts, got ", experts);
  const std::int64_t most = std::min<std::int64_t>(experts, cuda::kMaxTopk);
  TORCH_CHECK_VALUE(call.top_k >= 1 && call.top_k <= most, "topk_router: expected k from 1 to ", most, " (of ", experts,
                    " experts), got ", call.top_k);
  try {
    call.rule.check(static_cast<int>(experts), static_cast<int>(call.top_k));
  } catch (const std::invalid_argument& problem) {
    TORCH_CHECK_VALUE(false, problem.what());
  }
  check_bias(call, experts);
}

void check_record(const RouterCall& call, const at::Tensor& counts, const at::Tensor& trace) {
  const std::int64_t experts = experts_of(call);
  const at::Device device = call.logits.device();
  TORCH_CHECK_VALUE(counts.scalar_type() == at::kLong && counts.dim() == 1 && known(counts.sym_size(0)) == experts,
                    "topk_router_record: expected counts of int64 [", experts, "], got ", counts.scalar_type(), ' ',
                    counts.sym_sizes());
  const bool narrow = trace.scalar_type() == at::kByte;
  TORCH_CHECK_VALUE(narrow || trace.scalar_type() == at::kUInt16,
                    "topk_router_record: expected a trace of uint8 or uint16, got ", trace.scalar_type());
  TORCH_CHECK_VALUE(!narrow || experts <= 256, "topk_router_record: expected a trace of uint16 for ", experts,
                    " experts, got uint8 (it holds ids to 255)");
  const auto tokens = call.logits.sym_size(0);
  TORCH_CHECK_VALUE(trace.dim() == 2 && trace.sym_size(0) == tokens && known(trace.sym_size(1)) == call.top_k,
                    "topk_router_record: expected a trace of shape [", tokens, ", ", call.top_k, "], got ",
                    trace.sym_sizes());
  TORCH_CHECK_VALUE(counts.device() == device && trace.device() == device,
                    "topk_router_record: expected counts and trace on ", device, " (where the logits are), got ",
                    counts.device(), " and ", trace.device());
}

RouterTensors empty_result(const RouterCall& call) {
  const std::vector<c10::SymInt> shape{call.logits.sym_size(0), c10::SymInt(call.top_k)};
  const at::TensorOptions options = at::TensorOptions().device(call.logits.device());
  return {.weights = at::empty_symint(shape, options.dtype(at::kFloat)),
          .ids = at::empty_symint(shape, options.dtype(at::kLong))};
}

void route(const RouterCall& call, const RouterTensors& out) {
  if (call.logits.size(0) == 0) return;
  if (call.logits.is_cpu())
    route_on_cpu(call, out);
  else
    route_on_cuda(call, out);
}

}  // namespace routesig
