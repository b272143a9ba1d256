#include "kernel_call.hpp"

namespace routesig {
namespace {

cuda::LogitType logit_type(at::ScalarType dtype) {
  if (dtype == at::kHalf) return cuda::LogitType::fp16;
  return dtype == at::kBFloat16 ? cuda::LogitType::bf16 : cuda::LogitType::fp32;
}

at::Tensor with_whole_rows(const at::Tensor& matrix) {
  const bool neighbours = matrix.size(1) == 1 || matrix.stride(1) == 1;
  const bool apart = matrix.size(0) == 1 || matrix.stride(0) >= matrix.size(1);
  return neighbours && apart ? matrix : matrix.contiguous();
}

}  // namespace

KernelCall::KernelCall(const RouterCall& call, const RouterTensors& out)
    : out_(out), logits_(with_whole_rows(call.logits)) {
  told_ = {.logits = logits_.const_data_ptr(),
           .logit_type = logit_type(logits_.scalar_type()),
           .rows = logits_.size(0),
           .row_stride = logits_.stride(0),
           .experts = static_cast<int>(logits_.size(1)),
           .top_k = static_cast<int>(call.top_k),
           .rule = call.rule,
           .weights = out.weights.mutable_data_ptr<float>(),
           .ids = out.ids.mutable_data_ptr(),
           .id_type = cuda::IdType::int64};
  if (call.bias) {
    bias_ = call.bias->contiguous();
    told_.bias = bias_.const_data_ptr<float>();
  }
  if (out.trace.defined()) {
    trace_ = with_whole_rows(out.trace);
    told_.trace = trace_.mutable_data_ptr();
    told_.trace_type = trace_.scalar_type() == at::kByte ? cuda::TraceType::u8 : cuda::TraceType::u16;
    told_.trace_stride = trace_.stride(0);
  }
  if (out.counts.defined()) {
    counts_ = out.counts.contiguous();
    told_.counts = static_cast<unsigned long long*>(counts_.mutable_data_ptr());
  }
  if (out.nonfinite.defined()) told_.nonfinite = out.nonfinite.mutable_data_ptr<std::uint8_t>();
}

void KernelCall::put_back() const {
  if (trace_.defined() && !trace_.is_same(out_.trace)) out_.trace.copy_(trace_);
  if (counts_.defined() && !counts_.is_same(out_.counts)) out_.counts.copy_(counts_);
}

}  // namespace routesig
