// What one call of the router kernel is told, and what it refuses. Plain C++: whoever calls needs no CUDA header.
//
//     routesig::cuda::TopkCall call{.logits = logits, .logit_type = LogitType::bf16, .rows = 4096, .row_stride = 64,
//                                   .experts = 64, .top_k = 8, .weights = weights, .ids = ids};
//     routesig::cuda::topk(call, stream);
#pragma once

#include <cstdint>

#include "routesig/topk.hpp"

namespace routesig::cuda {

inline constexpr int kMaxTopkExperts = 1024;
inline constexpr int kMaxTopk = 32;

enum class LogitType : std::uint8_t { fp32, fp16, bf16 };
enum class IdType : std::uint8_t { int32, int64 };
enum class TraceType : std::uint8_t { u8, u16 };

// Pointers are the device's. What is recorded lies at the addresses given here and the kernel keeps nothing, so that a
// call may be captured in a CUDA graph and replayed; each part of it may be null, and costs nothing then.
struct TopkCall {
  const void* logits = nullptr;  // [rows, experts], rows row_stride elements apart
  LogitType logit_type = LogitType::fp32;
  std::int64_t rows = 0;
  std::int64_t row_stride = 0;
  int experts = 0;
  int top_k = 0;
  RouterRule rule{};
  const float* bias = nullptr;  // [experts]; sigmoid scoring alone, null means none

  float* weights = nullptr;  // [rows, top_k]
  void* ids = nullptr;       // [rows, top_k], best first
  IdType id_type = IdType::int32;

  void* trace = nullptr;  // [rows, top_k] ids again, rows trace_stride elements apart
  TraceType trace_type = TraceType::u16;
  std::int64_t trace_stride = 0;
  unsigned long long* counts = nullptr;          // [experts], added to (the type that CUDA's atomics know)
  std::uint8_t* nonfinite = nullptr;             // [rows] 1 where the row was not finite
  unsigned long long* nonfinite_rows = nullptr;  // [1], added to
};

// Throws std::invalid_argument where the kernel has no answer.
inline void check(const TopkCall& call) {
  if (call.experts < 1 || call.experts > kMaxTopkExperts)
    throw invalid_argument("topk: expected 1 to ", kMaxTopkExperts, " experts, got ", call.experts);
  if (call.top_k > kMaxTopk) throw invalid_argument("topk: expected top_k of at most ", kMaxTopk, ", got ", call.top_k);
  call.rule.check(call.experts, call.top_k);
  if (call.rows < 0) throw invalid_argument("topk: expected at least 0 rows, got ", call.rows);
  if (call.row_stride < call.experts && call.rows > 1)
    throw invalid_argument("topk: expected a row stride of at least ", call.experts, ", got ", call.row_stride);
  if (call.bias != nullptr && call.rule.scoring != Scoring::sigmoid)
    throw invalid_argument("topk: expected a bias with sigmoid scoring only");
  if (call.trace != nullptr && call.trace_type == TraceType::u8 && call.experts > 256)
    throw invalid_argument("topk: expected at most 256 experts for a trace of bytes, got ", call.experts);
  if (call.trace != nullptr && call.trace_stride < call.top_k && call.rows > 1)
    throw invalid_argument("topk: expected a trace stride of at least ", call.top_k, ", got ", call.trace_stride);
  if (call.rows == 0) return;
  if (call.logits == nullptr) throw invalid_argument("topk: expected logits, got null");
  if (call.weights == nullptr) throw invalid_argument("topk: expected a place for weights, got null");
  if (call.ids == nullptr) throw invalid_argument("topk: expected a place for ids, got null");
}

// Starts the kernel on `stream`, a cudaStream_t (null: the default one), and returns at once. Throws what `check`
// throws, and std::runtime_error with CUDA's reason where the launch failed.
void topk(const TopkCall& call, void* stream);

}  // namespace routesig::cuda
